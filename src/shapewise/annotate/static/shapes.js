// Pure geometry. A point is [row, column] in pixels. An ellipse is centre + x first + y second, x² + y² ≤ 1.
// `aspect` is [height, width] of a pixel on the screen: axes are made perpendicular there, not in pixels.

const add = ([a, b], [c, d], factor = 1) => [a + factor * c, b + factor * d];
const subtract = (p, q) => add(p, q, -1);
const scale = ([a, b], factor) => [a * factor, b * factor];
const toScreen = ([row, column], [height, width]) => [row * height, column * width];
const toPixels = ([row, column], [height, width]) => [row / height, column / width];
export const norm = ([a, b]) => Math.hypot(a, b);

export const boxEllipse = (centre, half) => ({
  kind: "ellipse", centre, first: [half[0], 0], second: [0, half[1]],
});

// The matrix M = A A' of an ellipse, whose outline is x' M⁻¹ x = 1, on the screen.
function matrix(ellipse, aspect) {
  const [a, b] = toScreen(ellipse.first, aspect), [c, d] = toScreen(ellipse.second, aspect);
  return [a * a + c * c, a * b + c * d, b * b + d * d];
}

// The same ellipse with its axes perpendicular on the screen, the steeper one first.
export function principal(ellipse, aspect) {
  return fromMatrix(ellipse.centre, matrix(ellipse, aspect), aspect);
}

function fromMatrix(centre, [rr, rc, cc], aspect) {
  const angle = Math.atan2(2 * rc, rr - cc) / 2;
  const middle = (rr + cc) / 2, half = Math.hypot((rr - cc) / 2, rc);
  const long = Math.sqrt(middle + half), short = Math.sqrt(Math.max(middle - half, 1e-6));
  const major = [Math.cos(angle) * long, Math.sin(angle) * long];
  const minor = [-Math.sin(angle) * short, Math.cos(angle) * short];
  const [first, second] = Math.abs(Math.cos(angle)) >= Math.SQRT1_2 ? [major, minor] : [minor, major];
  return { kind: "ellipse", centre, first: toPixels(first, aspect), second: toPixels(second, aspect) };
}

// As `ellipse_through` in shapes.py: the four are the highest, lowest, leftmost and rightmost points.
export function ellipseThrough(points) {
  const extreme = (axis, sign) => points.reduce((best, p) => (sign * p[axis] > sign * best[axis] ? p : best));
  const [top, bottom, left, right] = [extreme(0, -1), extreme(0, 1), extreme(1, -1), extreme(1, 1)];
  const half = [(bottom[0] - top[0]) / 2, (right[1] - left[1]) / 2];
  if (half[0] <= 0 || half[1] <= 0) return null;
  const slants = (bottom[1] - top[1]) / half[1] + (right[0] - left[0]) / half[0];
  const slant = Math.min(0.95, Math.max(-0.95, slants / 4));
  return {
    kind: "ellipse",
    centre: [(bottom[0] + top[0]) / 2, (left[1] + right[1]) / 2],
    first: [half[0], half[1] * slant],
    second: [0, half[1] * Math.sqrt(1 - slant * slant)],
  };
}

export function outline(shape, count = 96) {
  if (shape.kind === "polygon") return shape.points;
  const turns = Array.from({ length: count }, (_, i) => (2 * Math.PI * i) / count);
  return turns.map((t) => add(add(shape.centre, shape.first, Math.cos(t)), shape.second, Math.sin(t)));
}

export function contains(shape, [row, column]) {
  if (shape.kind === "absent") return false;
  let inside = false;
  const points = outline(shape, 48);
  points.forEach(([r, c], i) => {
    const [r2, c2] = points[(i + 1) % points.length];
    if (r > row !== r2 > row && column < c + ((row - r) / (r2 - r)) * (c2 - c)) inside = !inside;
  });
  return inside;
}

export function middle(shape) {
  if (shape.kind === "ellipse") return shape.centre;
  return scale(shape.points.reduce((sum, p) => add(sum, p), [0, 0]), 1 / shape.points.length);
}

// Where a hand may take hold: the ends of an ellipse's axes, a polygon's corners.
export function handles(shape) {
  if (shape.kind === "polygon") return shape.points;
  if (shape.kind !== "ellipse") return [];
  const { centre, first, second } = shape;
  return [add(centre, first), add(centre, second), subtract(centre, first), subtract(centre, second)];
}

// An axis follows the hand, turning and stretching; the other one keeps its length and stays perpendicular.
export function moveHandle(shape, index, point, aspect, stretchOnly = false) {
  if (shape.kind === "polygon") {
    return { ...shape, points: shape.points.map((p, i) => (i === index ? point : p)) };
  }
  const names = index % 2 ? ["second", "first"] : ["first", "second"];
  let [arm, other] = names.map((name) => toScreen(shape[name], aspect));
  let pull = scale(toScreen(subtract(point, shape.centre), aspect), index < 2 ? 1 : -1);
  if (stretchOnly) pull = scale(arm, (pull[0] * arm[0] + pull[1] * arm[1]) / norm(arm) ** 2);
  if (norm(pull) < 0.5) return shape;
  const side = Math.sign(arm[0] * other[1] - arm[1] * other[0]) || 1;
  other = scale([-pull[1], pull[0]], (side * norm(other)) / norm(pull));
  return { ...shape, [names[0]]: toPixels(pull, aspect), [names[1]]: toPixels(other, aspect) };
}

export function move(shape, by) {
  if (shape.kind === "polygon") return { ...shape, points: shape.points.map((p) => add(p, by)) };
  return { ...shape, centre: add(shape.centre, by) };
}

// Longer or shorter by so many pixels along the rows' or the columns' axis (0 or 1).
export function grow(shape, axis, by) {
  if (shape.kind === "polygon") {
    const at = middle(shape), reach = Math.max(...shape.points.map((p) => Math.abs(p[axis] - at[axis])), 1);
    const factor = Math.max(0.05, 1 + by / reach);
    const stretched = (p) => p.map((x, i) => (i === axis ? at[i] + (x - at[i]) * factor : x));
    return { ...shape, points: shape.points.map(stretched) };
  }
  const steep = Math.abs(shape.first[0]) * norm(shape.second) >= Math.abs(shape.second[0]) * norm(shape.first);
  const name = steep === (axis === 0) ? "first" : "second";
  const length = norm(shape[name]);
  return { ...shape, [name]: scale(shape[name], Math.max(0.5, length + by) / length) };
}

export function rotate(shape, degrees, aspect) {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const turn = (v) => {
    const [row, column] = toScreen(v, aspect);
    return toPixels([cos * row + sin * column, cos * column - sin * row], aspect);
  };
  if (shape.kind === "ellipse") return { ...shape, first: turn(shape.first), second: turn(shape.second) };
  const at = middle(shape);
  return { ...shape, points: shape.points.map((p) => add(at, turn(subtract(p, at)))) };
}

// A shape so far (0 to 1) of the way from one slice's to another's; null where there is none between.
export function between(from, to, share, aspect) {
  if (from.kind === "absent" || to.kind === "absent") return from.kind === to.kind ? from : null;
  const mix = (a, b) => a.map((x, i) => x + share * (b[i] - x));
  if (from.kind === "ellipse" && to.kind === "ellipse") {
    const roots = [from, to].map((each) => root(matrix(each, aspect)));
    return fromMatrix(mix(from.centre, to.centre), square(mix(...roots)), aspect);
  }
  const start = resampled(outline(from, 64)), end = aligned(resampled(outline(to, 64)), start);
  return { kind: "polygon", points: start.map((p, i) => mix(p, end[i])) };
}

// Lengths, not their squares, change evenly: the square root of a symmetric 2 x 2 matrix, and its square.
function root([a, b, c]) {
  const s = Math.sqrt(Math.max(a * c - b * b, 0)), t = Math.sqrt(a + c + 2 * s);
  return [(a + s) / t, b / t, (c + s) / t];
}
const square = ([a, b, c]) => [a * a + b * b, b * (a + c), b * b + c * c];

function resampled(points, count = 32) {
  const ends = points.map((p, i) => points[(i + 1) % points.length]);
  const lengths = points.map((p, i) => norm(subtract(ends[i], p)));
  const total = lengths.reduce((a, b) => a + b, 0);
  let edge = 0, passed = 0;
  return Array.from({ length: count }, (_, i) => {
    const goal = (total * i) / count;
    while (passed + lengths[edge] < goal && edge < points.length - 1) passed += lengths[edge++];
    return add(points[edge], subtract(ends[edge], points[edge]), (goal - passed) / (lengths[edge] || 1));
  });
}

// The same outline from another first point, and the other way round if need be: as near as can be.
function aligned(points, target) {
  let best = points, least = Infinity;
  for (const way of [points, [...points].reverse()]) {
    for (let shift = 0; shift < way.length; shift++) {
      const turned = [...way.slice(shift), ...way.slice(0, shift)];
      const distance = turned.reduce((sum, p, i) => sum + norm(subtract(p, target[i])) ** 2, 0);
      if (distance < least) [best, least] = [turned, distance];
    }
  }
  return best;
}
