// The slices of the case that is open: fetched when they are wanted, and their neighbours before they are.

import { readPixels } from "./api.js";

const AHEAD = 3, KEPT = 400;

export class Pictures {
  // chosen: the intensities that a person wants as black and white, null for the image's own
  constructor(index, meta, chosen = null) {
    Object.assign(this, { index, meta, slices: new Map(), chosen });
    this.canvas = new OffscreenCanvas(meta.size[2], meta.size[1]);
    this.lookup = new Uint8ClampedArray(65536);
  }

  get window() {
    return this.chosen ?? this.meta.window;
  }

  // A promise of a slice's pixels.
  fetch(slice) {
    if (!this.slices.has(slice)) {
      const wanted = readPixels(this.index, slice);
      wanted.catch(() => this.slices.delete(slice));
      this.slices.set(slice, wanted);
      if (this.slices.size > KEPT) this.slices.delete(this.slices.keys().next().value);
    }
    return this.slices.get(slice);
  }

  prefetch(slice) {
    for (let away = 1; away <= AHEAD; away++) {
      for (const near of [slice + away, slice - away]) {
        if (near >= 0 && near < this.meta.size[0]) this.fetch(near).catch(() => {});
      }
    }
  }

  // Level up, or wider, by a share of the window's width.
  adjust(level, width) {
    const [low, high] = this.window;
    const middle = (low + high) / 2 + level * (high - low);
    const half = Math.max(((high - low) / 2) * Math.exp(width), (this.meta.high - this.meta.low) / 2000);
    this.chosen = [middle - half, middle + half];
  }

  reset() {
    this.chosen = null;
  }

  // Draw pixels through the window, one image pixel a pixel.
  render(pixels) {
    const { low, high, size } = this.meta, [black, white] = this.window;
    const step = (high - low) / 65535 || 1;
    for (let i = 0; i < 65536; i++) this.lookup[i] = (255 * (low + i * step - black)) / (white - black);
    const image = new ImageData(size[2], size[1]);
    const words = new Uint32Array(image.data.buffer);
    for (let i = 0; i < pixels.length; i++) words[i] = 0xff000000 | (this.lookup[pixels[i]] * 0x010101);
    this.canvas.getContext("2d").putImageData(image, 0, 0);
    return this.canvas;
  }
}
