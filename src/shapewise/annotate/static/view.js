// Where the image lies on the screen: zoom, pan, and pixels as high and wide as they are in the patient.

export class View {
  constructor() {
    Object.assign(this, { size: [1, 1], aspect: [1, 1], box: [1, 1], zoom: 1, offset: [0, 0] });
  }

  // size: rows and columns; spacing: of rows and columns in mm, or null
  show(size, spacing) {
    const [height, width] = spacing ?? [1, 1], finest = Math.min(height, width);
    this.size = size;
    this.aspect = [height / finest, width / finest];
    this.fit();
  }

  resize(box) {
    const fitted = this.isFitted();
    this.box = box;
    if (fitted) this.fit();
  }

  get fitting() {
    const room = this.box.map((length, axis) => (length - 24) / (this.size[axis] * this.aspect[axis]));
    return Math.max(0.05, Math.min(...room));
  }

  isFitted() {
    return this.zoom === this.fitZoom && this.offset.every((x, axis) => x === this.fitOffset[axis]);
  }

  fit() {
    this.zoom = this.fitZoom = this.fitting;
    this.offset = this.box.map((length, axis) => (length - this.size[axis] * this.aspect[axis] * this.zoom) / 2);
    this.fitOffset = this.offset;
  }

  // Screen (y, x) of an image point [row, column]; pixel centres lie at whole numbers.
  toScreen(point) {
    return point.map((x, axis) => this.offset[axis] + (x + 0.5) * this.aspect[axis] * this.zoom);
  }

  toImage(place) {
    return place.map((x, axis) => (x - this.offset[axis]) / (this.aspect[axis] * this.zoom) - 0.5);
  }

  // Closer by a factor, about a place on the screen, or its middle.
  zoomBy(factor, about = this.box.map((length) => length / 2)) {
    const held = this.toImage(about);
    this.zoom = Math.min(80, Math.max(0.1, this.zoom * factor));
    this.offset = this.offset.map((x, axis) => x + about[axis] - this.toScreen(held)[axis]);
  }

  pan(by) {
    this.offset = this.offset.map((x, axis) => x + by[axis]);
  }
}
