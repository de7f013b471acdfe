// What undo and redo go through. The last of it is in the tab's storage too: a reload of the page does not lose it.

import { keep } from "./storage.js";

const MERGED = 1200; // ms between nudges that are one step
const MOST = 100; // steps in storage
const LONGEST = 1_000_000; // characters: edits that wait to be sent need the rest of the storage

export const keyOf = ({ name, frame, slice }) => `${name}/${frame}/${slice}`;

export class Steps {
  // there: whether a step's case is still in the study
  constructor(storageKey, there) {
    const kept = JSON.parse(sessionStorage.getItem(storageKey) ?? "{}");
    const steps = (list) => (list ?? []).filter(there).map((step) => ({ ...step, merge: null }));
    // versions: of each slice, the last one that came from this tab
    Object.assign(this, { storageKey, past: steps(kept.past), future: steps(kept.future), versions: kept.versions ?? {} });
  }

  // A step from the objects `before`, which the version has, to those `after`; it goes on with the last one where that
  // merges, and is taken back and again together with those of its group.
  add(place, version, before, after, merge, group) {
    // Older steps know nothing of what somebody else drew since, and would take it away.
    const older = this.holds(place, version) ? [] : this.past.filter((step) => keyOf(step) === keyOf(place));
    for (const step of older) step.lost = true;
    const now = performance.now(), last = this.past.at(-1);
    if (merge && last?.merge === merge && !last.lost && keyOf(last) === keyOf(place) && now - last.at < MERGED) {
      Object.assign(last, { after, at: now });
    } else {
      this.past.push({ ...place, before, after, merge, group, at: now });
    }
    this.future = [];
  }

  sent(place, version) {
    this.versions[keyOf(place)] = version;
    this.store();
  }

  // Whether nobody else has changed the slice since this tab did; of a step, since it was made.
  holds(place, version) {
    return !place.lost && this.versions[keyOf(place)] === version;
  }

  // All steps of the slice; from a lost step on, only those that are lost.
  forget(place) {
    const other = (step) => keyOf(step) !== keyOf(place) || (place.lost && !step.lost);
    [this.past, this.future] = [this.past.filter(other), this.future.filter(other)];
    this.store();
  }

  store() {
    const { storageKey, past, future, versions } = this;
    for (let most = MOST; most >= 1; most = Math.floor(most / 2)) {
      const text = JSON.stringify({ past: past.slice(-most), future: future.slice(-most), versions });
      if (text.length <= LONGEST) return keep(storageKey, text);
    }
    sessionStorage.removeItem(storageKey);
  }
}
