// What a person can do to the slice at hand, by button or key alike.

import { between, boxEllipse, grow, handles, move, moveHandle, rotate } from "./shapes.js";

export const absent = { kind: "absent" };

// An object of the class at hand with this shape; what else was said of it stays.
export function drawn(desk, shape, origin = "drawn") {
  const before = desk.object, there = before && before.shape.kind !== "absent";
  const around = there ? before.around : desk.study.around[desk.active] ?? null;
  return { shape, around: shape.kind === "absent" ? null : around, doubt: before?.doubt ?? desk.doubt ?? 0, origin };
}

export function place(desk, shape) {
  desk.draft = null;
  desk.put(desk.active, drawn(desk, shape));
}

export const markAbsent = (desk) => place(desk, absent);

export function clear(desk) {
  Object.assign(desk, { draft: null, handle: null });
  if (desk.state.objects[desk.active]) desk.put(desk.active, null);
}

// A nudge of the object at hand by keyboard: several in a row are one step.
export function nudge(desk, change) {
  const object = desk.state.objects[desk.active];
  if (!object || object.shape.kind === "absent") return false;
  desk.put(desk.active, { ...object, shape: change(object.shape) }, `nudge ${desk.key()}`);
  return true;
}

export function moveBy(desk, by) {
  if (!desk.draft && desk.handle !== null) {
    return nudge(desk, (shape) => {
      const at = handles(shape)[desk.handle];
      return moveHandle(shape, desk.handle, [at[0] + by[0], at[1] + by[1]], desk.view.aspect);
    });
  }
  if (!desk.draft && nudge(desk, (shape) => move(shape, by))) return true;
  desk.crosshair = desk.crosshair.map((x, axis) => Math.min(desk.view.size[axis] - 1, Math.max(0, x + by[axis])));
  desk.pointing = true;
  desk.tell("change");
  return true;
}

export const growBy = (desk, axis, by) => nudge(desk, (shape) => grow(shape, axis, by));
export const turnBy = (desk, degrees) => nudge(desk, (shape) => rotate(shape, degrees, desk.view.aspect));

export function nextHandle(desk, step) {
  const count = desk.object ? handles(desk.object.shape).length : 0;
  if (count) desk.handle = ((desk.handle ?? (step > 0 ? -1 : 0)) + step + count) % count;
  desk.tell("change");
}

// An ellipse where the crosshair is: an eighth of the picture high, to be moved and grown.
export function placeAtCrosshair(desk) {
  const half = desk.view.size[0] / 16, { aspect } = desk.view;
  place(desk, boxEllipse(desk.crosshair, [half, (half * aspect[0]) / aspect[1]]));
}

export function around(desk, name) {
  const object = desk.state.objects[desk.active];
  if (object && object.shape.kind !== "absent") desk.put(desk.active, { ...object, around: name });
}

export function cycleAround(desk) {
  const choices = [null, ...desk.study.classes.filter((name) => name !== desk.active)];
  const now = choices.indexOf(desk.object?.around ?? null);
  around(desk, choices[(now + 1) % choices.length]);
}

export function doubt(desk, pixels) {
  const object = desk.state.objects[desk.active];
  desk.doubt = Math.min(10, Math.max(0, pixels)); // what is drawn from now on is as sure
  if (object) desk.put(desk.active, { ...object, doubt: desk.doubt }, `doubt ${desk.key()}`);
  else desk.tell("change");
}

// What this slice lacks, from the slice above; where it lacks nothing, the class at hand.
export function copyAbove(desk) {
  const above = desk.states[desk.slice - 1]?.objects ?? {};
  const lacking = Object.keys(above).filter((name) => !desk.state.objects[name]);
  const names = lacking.length ? lacking : Object.keys(above).filter((name) => name === desk.active);
  if (!names.length) return desk.notice("Nothing is annotated on the slice above.");
  desk.putAll(Object.fromEntries(names.map((name) => [name, { ...above[name], origin: "copied" }])));
}

// The nearest annotated slices of a class above and below, and this one where it is annotated too.
function ends(desk, name) {
  const slices = Object.keys(desk.states).map(Number).filter((s) => desk.states[s].objects[name]);
  const above = slices.filter((s) => s < desk.slice), below = slices.filter((s) => s > desk.slice);
  return [Math.max(...above), ...slices.filter((s) => s === desk.slice), Math.min(...below)].filter(Number.isFinite);
}

// Fill what lies between annotated slices, up and down from here, class by class; all of it is one step.
export function interpolate(desk) {
  const filled = new Map(), group = `interpolated ${Date.now()}`;
  const fill = (name, first, last) => {
    const [from, to] = [first, last].map((s) => desk.states[s].objects[name]);
    for (let slice = first + 1; slice < last; slice++) {
      const share = (slice - first) / (last - first);
      const shape = between(from.shape, to.shape, share, desk.view.aspect);
      if (!shape) continue;
      const doubt = Math.max(from.doubt, to.doubt);
      const object = { shape, around: shape.kind === "absent" ? null : from.around, doubt, origin: "interpolated" };
      filled.set(slice, { ...filled.get(slice), [name]: object });
    }
  };
  for (const name of desk.study.classes) {
    ends(desk, name).forEach((last, i, all) => i && fill(name, all[i - 1], last));
  }
  for (const [slice, objects] of filled) desk.putAll(objects, null, slice, group);
  desk.notice(filled.size ? `Filled ${filled.size} slices.` : "There is nothing to fill between two annotated slices.");
}

export function accept(desk, everything) {
  const found = desk.suggestion?.objects;
  if (!found) return desk.notice("The run has not suggested anything here yet.");
  const names = everything ? Object.keys(found).filter((name) => !desk.state.objects[name]) : [desk.active];
  if (names.length) desk.putAll(Object.fromEntries(names.map((name) => [name, found[name]])));
}

export function toggleRegion(desk) {
  Object.assign(desk, { regionOn: !desk.regionOn, region: null });
  desk.touched();
}

export function otherPhase(desk) {
  const { patient, frame } = desk.case;
  const found = desk.study.cases.findIndex((each) => each.patient === patient && each.frame !== frame);
  if (found >= 0) return desk.open(found, desk.slice);
}

export function step(desk, by) {
  const index = desk.wanted + by;
  if (index >= 0 && index < desk.study.cases.length) return desk.open(index);
}
