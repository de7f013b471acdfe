// The strip of slices at the left: which one is shown, and what is annotated on each.

import { colourOf } from "./paint.js";

export function paintStrip(canvas, desk) {
  const ratio = devicePixelRatio, height = canvas.clientHeight, width = canvas.clientWidth;
  if (!desk.meta) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d"), style = getComputedStyle(document.body);
  context.scale(ratio, ratio);
  const row = height / desk.depth, { classes } = desk.study, dot = (width - 8) / classes.length;
  context.fillStyle = style.getPropertyValue("--accent");
  context.globalAlpha = 0.35;
  context.fillRect(0, desk.slice * row, width, Math.max(row, 2));
  context.globalAlpha = 1;
  for (let slice = 0; slice < desk.depth; slice++) {
    const objects = desk.states[slice]?.objects ?? {};
    classes.forEach((name, i) => {
      const object = objects[name];
      const size = Math.min(row * 0.7, 8), middle = (slice + 0.5) * row, left = 4 + i * dot;
      context.fillStyle = object ? colourOf(desk, name) : style.getPropertyValue("--line");
      const thin = !object || object.shape.kind === "absent";
      context.fillRect(left + 1, middle - (thin ? 1 : size / 2), Math.max(dot - 2, 1), thin ? Math.min(2, row) : Math.max(size, 1));
    });
  }
}

export function listen(canvas, desk) {
  const go = (event) => desk.meta && desk.go(Math.floor((event.offsetY / canvas.clientHeight) * desk.depth));
  canvas.addEventListener("pointerdown", (event) => (canvas.setPointerCapture(event.pointerId), go(event)));
  canvas.addEventListener("pointermove", (event) => event.buttons && go(event));
  canvas.addEventListener("wheel", (event) => desk.meta && desk.go(desk.slice + Math.sign(event.deltaY)), { passive: true });
}
