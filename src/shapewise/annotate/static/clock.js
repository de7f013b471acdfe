// What a person spends on an object: the time between one touch and the next, unless they went away.

const PAUSE = 20_000;

export class Clock {
  constructor() {
    this.spent = new Map();
    this.last = null;
  }

  // Something was touched while this object was at hand; a drag, click or key press counts as a gesture.
  touch(key, gesture = false) {
    const now = performance.now();
    const entry = this.spent.get(key) ?? { seconds: 0, gestures: 0 };
    if (this.last !== null && now - this.last < PAUSE) entry.seconds += (now - this.last) / 1000;
    if (gesture) entry.gestures += 1;
    this.last = now;
    this.spent.set(key, entry);
  }

  take(key) {
    const entry = this.spent.get(key) ?? { seconds: 0, gestures: 0 };
    this.spent.delete(key);
    return { seconds: Math.round(entry.seconds * 1000) / 1000, gestures: entry.gestures };
  }
}
