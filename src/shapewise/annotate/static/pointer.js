// The mouse, a pen or a finger on the canvas.

import { drawn, place } from "./actions.js";
import { boxEllipse, contains, ellipseThrough, handles, move, moveHandle, norm, principal } from "./shapes.js";

const NEAR = 9; // pixels of the screen
const DRAGGED = 4;

export function listen(canvas, desk) {
  new Pointer(canvas, desk).listen();
}

const where = (event) => [event.offsetY, event.offsetX];
const near = (desk, point, place) => norm(desk.view.toScreen(point).map((x, i) => x - place[i])) <= NEAR;

// A press until it ends, and how far the wheel has turned.
class Pointer {
  constructor(canvas, desk) {
    Object.assign(this, { canvas, desk, drag: null, turned: 0 });
  }

  listen() {
    const on = (name, action, options) => this.canvas.addEventListener(name, action, options);
    on("contextmenu", (event) => event.preventDefault());
    on("pointerdown", (event) => this.press(event));
    on("pointermove", (event) => (this.drag ? this.follow(event) : hover(this.desk, event)));
    on("pointerup", (event) => this.finish(event, true));
    on("pointercancel", (event) => this.finish(event, false));
    on("wheel", (event) => this.wheel(event), { passive: false });
  }

  press(event) {
    const { canvas, desk } = this;
    if (!desk.ready || this.drag) return;
    canvas.focus();
    canvas.setPointerCapture(event.pointerId);
    desk.touch(event.button === 0);
    Object.assign(desk, { pointing: false, dragging: true });
    this.drag = { start: where(event), last: where(event), moved: false, ...begin(desk, event) };
  }

  follow(event) {
    const { drag } = this, now = where(event);
    drag.moved ||= norm([now[0] - drag.start[0], now[1] - drag.start[1]]) >= DRAGGED;
    if (drag.moved) drag.follow?.(now, event, [now[0] - drag.last[0], now[1] - drag.last[1]]);
    drag.last = now;
  }

  finish(event, good) {
    const { desk, drag: done } = this;
    if (!done) return;
    this.drag = null;
    desk.dragging = false;
    desk.touch(false);
    if (good && !done.moved) done.click?.(desk.view.toImage(where(event)), event);
    else if (good && desk.live) desk.put(desk.active, desk.live[desk.active]);
    desk.live = null;
    desk.touched();
  }

  wheel(event) {
    const { desk } = this;
    event.preventDefault();
    if (!desk.meta || this.drag) return;
    if (event.ctrlKey || event.metaKey) {
      desk.view.zoomBy(Math.exp(-event.deltaY / 300), where(event));
      return desk.tell("change");
    }
    this.turned += event.deltaMode ? 40 * event.deltaY : event.deltaY; // a touchpad turns in small parts
    const steps = Math.trunc(this.turned / 40);
    this.turned -= 40 * steps;
    if (steps) desk.go(desk.slice + Math.sign(steps));
  }
}

// What a press begins: what to do while it moves, and what where it does not.
function begin(desk, event) {
  const at = desk.view.toImage(where(event));
  if (event.button === 2) return { follow: (_, __, by) => adjust(desk, by) };
  if (event.button === 1 || desk.spaceHeld) return { follow: (_, __, by) => pan(desk, by) };
  if (desk.draft || desk.tool !== "ellipse") {
    const held = desk.draft ? null : hold(desk, at, event);
    return held ?? { click: (point, e) => addPoint(desk, point, e) };
  }
  return hold(desk, at, event) ?? { follow: stretch(desk, at), click: (point) => choose(desk, point) };
}

// A handle, or the inside, of the object at hand.
function hold(desk, at, event) {
  const object = desk.object;
  if (!object || object.shape.kind === "absent") return null;
  const shape = object.shape, index = handles(shape).findIndex((point) => near(desk, point, where(event)));
  desk.handle = null;
  if (index >= 0) {
    const moved = (now, e) => moveHandle(shape, index, desk.view.toImage(now), desk.view.aspect, e.shiftKey);
    return { follow: (now, e) => show(desk, moved(now, e)) };
  }
  if (!contains(shape, at)) return null;
  const from = (now) => desk.view.toImage(now).map((x, axis) => x - at[axis]);
  return { follow: (now) => show(desk, move(shape, from(now))), click: (point) => choose(desk, point) };
}

function show(desk, shape) {
  desk.live = { ...desk.state.objects, [desk.active]: drawn(desk, shape) };
  desk.touched();
}

// From the centre; a circle, as it looks, with Shift.
const stretch = (desk, centre) => (now, event) => {
  const { view } = desk, place = view.toScreen(centre);
  let half = now.map((x, axis) => Math.max(Math.abs(x - place[axis]), 1) / view.zoom);
  if (event.shiftKey) half = [norm(half), norm(half)];
  show(desk, boxEllipse(centre, half.map((x, axis) => Math.max(0.5, x / view.aspect[axis]))));
};

function addPoint(desk, at, event) {
  desk.crosshair = at;
  const back = desk.draft?.length > 2 && (event.detail > 1 || near(desk, desk.draft[0], where(event)));
  addDraftPoint(desk, at, back);
}

// A click inside another object chooses its class: the smallest, where several lie about it.
function choose(desk, at) {
  desk.crosshair = at.map(Math.round);
  const others = Object.entries(desk.objects).filter(([name]) => name !== desk.active);
  const hit = others.filter(([, object]) => contains(object.shape, at));
  const size = (name) => desk.numbers[name]?.px.volume[0][0] ?? 0;
  const [name] = hit.map(([name]) => name).sort((a, b) => size(a) - size(b));
  if (name) desk.active = name;
}

function adjust(desk, [dy, dx]) {
  desk.pictures.adjust(dy / 300, dx / 300);
  desk.tell("change");
}

function pan(desk, by) {
  desk.view.pan(by);
  desk.tell("change");
}

function hover(desk, event) {
  desk.tell("hover", desk.meta ? desk.view.toImage(where(event)) : null);
}

// One more corner, or extreme point; the fourth extreme point makes the ellipse, coming back to the first corner the polygon.
export function addDraftPoint(desk, at, back) {
  const most = desk.study.most_points, close = back && desk.tool === "polygon";
  if (!close && desk.draft?.length >= most) return desk.notice(`A polygon has ${most} corners at most: close it.`);
  const points = close ? desk.draft : [...(desk.draft ?? []), [...at]];
  desk.draft = points;
  if (close) place(desk, { kind: "polygon", points });
  if (desk.tool === "extremes" && points.length === 4) {
    const ellipse = ellipseThrough(points);
    desk.draft = null;
    if (ellipse) place(desk, principal(ellipse, desk.view.aspect));
    else desk.notice("Four points in a line span no ellipse.");
  }
  desk.tell("change");
}
