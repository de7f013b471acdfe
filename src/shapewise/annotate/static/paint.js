// Everything that is drawn on the canvas, from back to front.

import { handles, outline } from "./shapes.js";

// As in the package's own figures: bright enough on a grey image, and colour-blind readers tell them apart.
const COLOURS = ["#56b4e9", "#f0e442", "#ff6f61", "#00c08b", "#d68fd6", "#ffffff"];

export const colourOf = (desk, name) => COLOURS[desk.study.classes.indexOf(name) % COLOURS.length];

export function paint(canvas, desk) {
  const ratio = devicePixelRatio, context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (!desk.ready || desk.pixelsOf !== desk.slice) return; // another slice's picture would be taken for this one's
  paintImage(context, desk);
  if (desk.region) paintRegion(context, desk);
  if (!desk.outlined) return;
  paintSuggestions(context, desk);
  const names = Object.keys(desk.objects).filter((name) => name !== desk.active);
  for (const name of [...names, desk.active]) paintObject(context, desk, name);
  paintDraft(context, desk);
  if (desk.pointing || desk.draft) paintCrosshair(context, desk);
}

function paintImage(context, desk) {
  const { view, pictures } = desk;
  const [top, left] = view.toScreen([-0.5, -0.5]);
  const [bottom, right] = view.toScreen(view.size.map((length) => length - 0.5));
  context.imageSmoothingEnabled = view.zoom < 12;
  context.imageSmoothingQuality = "high";
  context.drawImage(pictures.render(desk.pixels), left, top, right - left, bottom - top);
}

function paintRegion(context, desk) {
  const { view, region } = desk, [rows, columns] = view.size;
  const layer = new OffscreenCanvas(columns, rows), image = new ImageData(columns, rows);
  region.labels.forEach((label, i) => {
    if (!label) return;
    const hex = parseInt(colourOf(desk, region.names[label - 1]).slice(1), 16);
    image.data.set([hex >> 16, (hex >> 8) & 255, hex & 255, 130], 4 * i);
  });
  layer.getContext("2d").putImageData(image, 0, 0);
  const [top, left] = view.toScreen([-0.5, -0.5]);
  context.imageSmoothingEnabled = false;
  context.drawImage(layer, left, top, columns * view.aspect[1] * view.zoom, rows * view.aspect[0] * view.zoom);
}

function trace(context, desk, points, closed = true) {
  points.forEach((point, i) => {
    const [y, x] = desk.view.toScreen(point);
    if (i) context.lineTo(x, y);
    else context.moveTo(x, y);
  });
  if (closed) context.closePath();
}

function stroke(context, colour, width, dash = []) {
  context.setLineDash(dash);
  context.strokeStyle = "rgb(0 0 0 / .55)";
  context.lineWidth = width + 2;
  context.stroke();
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
  context.setLineDash([]);
}

function paintObject(context, desk, name) {
  const object = desk.objects[name];
  if (!object || object.shape.kind === "absent") return;
  const colour = colourOf(desk, name), active = name === desk.active;
  if (!desk.region) fillObject(context, desk, object, colour, active ? 0.2 : 0.12);
  context.beginPath();
  trace(context, desk, outline(object.shape));
  stroke(context, colour, active ? 2.5 : 1.5);
  if (active) handles(object.shape).forEach((point, i) => paintHandle(context, desk, point, colour, i === desk.handle));
}

// Its inside, but for the outline that it lies around.
function fillObject(context, desk, object, colour, alpha) {
  const inner = desk.objects[object.around]?.shape;
  context.save();
  if (inner && inner.kind !== "absent") {
    context.beginPath();
    context.rect(0, 0, ...[...desk.view.box].reverse());
    trace(context, desk, outline(inner));
    context.clip("evenodd");
  }
  context.beginPath();
  trace(context, desk, outline(object.shape));
  context.globalAlpha = alpha;
  context.fillStyle = colour;
  context.fill("evenodd");
  context.restore();
}

function paintHandle(context, desk, point, colour, chosen) {
  const [y, x] = desk.view.toScreen(point);
  context.beginPath();
  context.arc(x, y, chosen ? 7 : 4.5, 0, 7);
  context.fillStyle = chosen ? colour : "#ffffff";
  context.fill();
  context.strokeStyle = chosen ? "#ffffff" : "#000000";
  context.lineWidth = 1.5;
  context.stroke();
}

function paintSuggestions(context, desk) {
  for (const [name, object] of Object.entries(desk.suggestion?.objects ?? {})) {
    if (desk.objects[name] || object.shape.kind === "absent") continue;
    context.beginPath();
    trace(context, desk, outline(object.shape));
    stroke(context, colourOf(desk, name), name === desk.active ? 2 : 1.25, [6, 5]);
  }
}

function paintDraft(context, desk) {
  if (!desk.draft) return;
  const colour = colourOf(desk, desk.active);
  context.beginPath();
  if (desk.tool === "polygon") trace(context, desk, desk.draft, false);
  stroke(context, colour, 2, [3, 3]);
  for (const point of desk.draft) paintHandle(context, desk, point, colour, false);
}

function paintCrosshair(context, desk) {
  const [y, x] = desk.view.toScreen(desk.crosshair);
  context.beginPath();
  for (const [dy, dx] of [[0, 1], [0, -1], [1, 0], [-1, 0]]) {
    context.moveTo(x + 4 * dx, y + 4 * dy);
    context.lineTo(x + 14 * dx, y + 14 * dy);
  }
  stroke(context, "#ffffff", 1.5);
}
