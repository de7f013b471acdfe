// The mouse, a pen or a finger on the canvas.

import { drawn, place } from "./actions.js";
import { boxEllipse, contains, ellipseThrough, handles, move, moveHandle, norm, principal } from "./shapes.js";

const NEAR = 9; // pixels of the screen
const DRAGGED = 4;

export function listen(canvas, desk) {
  let drag = null;
  const where = (event) => [event.offsetY, event.offsetX];
  const near = (point, place) => norm(desk.view.toScreen(point).map((x, i) => x - place[i])) <= NEAR;

  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    if (!desk.meta || desk.loading || drag) return;
    canvas.focus();
    canvas.setPointerCapture(event.pointerId);
    desk.touch(event.button === 0);
    desk.pointing = false;
    drag = { start: where(event), last: where(event), moved: false, ...begin(event) };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return hover(event);
    const now = where(event);
    drag.moved ||= norm([now[0] - drag.start[0], now[1] - drag.start[1]]) >= DRAGGED;
    if (drag.moved) drag.follow?.(now, event, [now[0] - drag.last[0], now[1] - drag.last[1]]);
    drag.last = now;
  });
  canvas.addEventListener("pointerup", (event) => finish(event, true));
  canvas.addEventListener("pointercancel", (event) => finish(event, false));

  function finish(event, good) {
    if (!drag) return;
    const done = drag;
    drag = null;
    desk.touch(false);
    if (good && !done.moved) done.click?.(desk.view.toImage(where(event)), event);
    else if (good && desk.live) desk.put(desk.active, desk.live[desk.active]);
    desk.live = null;
    desk.touched();
  }

  // What a press begins: what to do while it moves, and what where it does not.
  function begin(event) {
    const at = desk.view.toImage(where(event)), object = desk.object;
    if (event.button === 2) return { follow: (_, __, by) => adjust(by) };
    if (event.button === 1 || desk.spaceHeld) return { follow: (_, __, by) => pan(by) };
    if (desk.draft || desk.tool !== "ellipse") {
      const held = desk.draft ? null : hold(object, at, event);
      return held ?? { click: addPoint };
    }
    return hold(object, at, event) ?? { follow: stretch(at), click: choose };
  }

  // A handle, or the inside, of the object at hand.
  function hold(object, at, event) {
    if (!object || object.shape.kind === "absent") return null;
    const shape = object.shape, index = handles(shape).findIndex((point) => near(point, where(event)));
    desk.handle = null;
    if (index >= 0) {
      return { follow: (now, e) => show(moveHandle(shape, index, desk.view.toImage(now), desk.view.aspect, e.shiftKey)) };
    }
    if (!contains(shape, at)) return null;
    const from = (now) => desk.view.toImage(now).map((x, axis) => x - at[axis]);
    return { follow: (now) => show(move(shape, from(now))), click: choose };
  }

  function show(shape) {
    desk.live = { ...desk.state.objects, [desk.active]: drawn(desk, shape) };
    desk.touched();
  }

  // From the centre; a circle, as it looks, with Shift.
  const stretch = (centre) => (now, event) => {
    const { view } = desk, place = view.toScreen(centre);
    let half = now.map((x, axis) => Math.max(Math.abs(x - place[axis]), 1) / view.zoom);
    if (event.shiftKey) half = [norm(half), norm(half)];
    show(boxEllipse(centre, half.map((x, axis) => Math.max(0.5, x / view.aspect[axis]))));
  };

  function addPoint(at, event) {
    desk.crosshair = at;
    addDraftPoint(desk, at, desk.draft?.length > 2 && (event.detail > 1 || near(desk.draft[0], where(event))));
  }

  // A click inside another object chooses its class: the smallest, where several lie about it.
  function choose(at) {
    desk.crosshair = at.map(Math.round);
    const others = Object.entries(desk.objects).filter(([name]) => name !== desk.active);
    const hit = others.filter(([, object]) => contains(object.shape, at));
    const size = (name) => desk.numbers[name]?.px.volume[0][0] ?? 0;
    const [name] = hit.map(([name]) => name).sort((a, b) => size(a) - size(b));
    if (name) desk.active = name;
  }

  function adjust([dy, dx]) {
    desk.pictures.adjust(dy / 300, dx / 300);
    desk.tell("change");
  }

  function pan(by) {
    desk.view.pan(by);
    desk.tell("change");
  }

  function hover(event) {
    desk.tell("hover", desk.meta ? desk.view.toImage(where(event)) : null);
  }

  let turned = 0;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (!desk.meta || drag) return;
    if (event.ctrlKey || event.metaKey) {
      desk.view.zoomBy(Math.exp(-event.deltaY / 300), where(event));
      return desk.tell("change");
    }
    turned += event.deltaMode ? 40 * event.deltaY : event.deltaY; // a touchpad turns in small parts
    const steps = Math.trunc(turned / 40);
    turned -= 40 * steps;
    if (steps) desk.go(desk.slice + Math.sign(steps));
  }, { passive: false });
}

// One more corner, or extreme point; the fourth extreme point makes the ellipse, `close` the polygon.
export function addDraftPoint(desk, at, close) {
  const points = close ? desk.draft : [...(desk.draft ?? []), [...at]];
  desk.draft = points;
  if (desk.tool === "polygon" && close) place(desk, { kind: "polygon", points });
  if (desk.tool === "extremes" && points.length === 4) {
    const ellipse = ellipseThrough(points);
    desk.draft = null;
    if (ellipse) place(desk, principal(ellipse, desk.view.aspect));
    else desk.notice("Four points in a line span no ellipse.");
  }
  desk.tell("change");
}
