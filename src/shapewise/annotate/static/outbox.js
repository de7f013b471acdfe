// Edits on their way to the server. Each stays here, and in the tab's storage, until it is acknowledged.

import { Refused, saveSlice } from "./api.js";
import { keep } from "./storage.js";

const LONGEST_WAIT = 4000;
// `crypto.randomUUID` is there on secure pages only, and a server on another address is none.
const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (x) => x.toString(16).padStart(2, "0")).join("");
const same = (a, b) => a.name === b.name && a.frame === b.frame && a.slice === b.slice;

export class Outbox {
  // indexOf: from {name, frame} to the case's index; on: {status, conflict, refused}
  constructor(indexOf, storageKey, on) {
    Object.assign(this, { indexOf, storageKey, on, sending: null, failures: 0, timer: null });
    const kept = JSON.parse(sessionStorage.getItem(storageKey) ?? "[]");
    this.queue = kept.map((item) => ({ ...item, tried: true }));
    addEventListener("online", () => this.flush());
  }

  get size() {
    return this.queue.length;
  }

  // The last edit of a place that is not acknowledged yet.
  waiting(place) {
    return this.queue.findLast((item) => same(item, place));
  }

  // Returns the version that the slice will have. Nudges that still wait are one edit, but for one that was sent
  // before: the server may have it, although its answer was lost.
  add(place, base, objects, costs, merge) {
    const last = this.queue.at(-1);
    if (merge && last && !last.tried && last.merge === merge && same(last, place)) {
      last.objects = objects;
      for (const [name, cost] of Object.entries(costs)) {
        const sum = last.costs[name] ?? { seconds: 0, gestures: 0 };
        last.costs[name] = { seconds: sum.seconds + cost.seconds, gestures: sum.gestures + cost.gestures };
      }
      this.store();
      return last.base + 1;
    }
    this.queue.push({ ...place, uid: newId(), base, objects, costs, merge });
    this.store();
    this.flush();
    return base + 1;
  }

  store() {
    keep(this.storageKey, JSON.stringify(this.queue));
    this.on.status(this);
  }

  async flush() {
    if (this.sending) return;
    clearTimeout(this.timer);
    while (this.queue.length) {
      const item = (this.sending = this.queue[0]);
      const { uid, base, objects, costs } = item;
      item.tried = true;
      try {
        await saveSlice(this.indexOf(item), item.slice, { uid, base, objects, costs });
        this.queue.shift();
        [this.failures, this.trouble] = [0, null];
      } catch (error) {
        if (!this.settle(item, error)) return;
      } finally {
        this.sending = null;
      }
      this.store();
    }
  }

  // True where the next edit may be sent; false where this one has to be tried again.
  settle(item, error) {
    const status = error instanceof Refused ? error.status : 0;
    if (status === 409) {
      const mine = this.waiting(item).objects;
      this.queue = this.queue.filter((each) => !same(each, item));
      this.on.conflict(item, mine, error.body);
      return true;
    }
    if (status === 404 || status === 413 || status === 422) {
      this.queue.shift();
      for (const each of this.queue) if (same(each, item)) each.base -= 1; // this version will never be
      this.on.refused(item, error);
      return true;
    }
    this.failures += 1;
    this.trouble = status ? error.message : "connection lost";
    this.sending = null;
    this.timer = setTimeout(() => this.flush(), Math.min(LONGEST_WAIT, 250 * 2 ** this.failures));
    this.on.status(this);
    return false;
  }
}
