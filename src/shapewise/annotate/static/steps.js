// What undo and redo go through. The last of it is in the tab's storage too: a reload of the page does not lose it.

const MERGED = 1200; // ms between nudges that are one step
const MOST = 100; // steps in storage
const LONGEST = 1_000_000; // characters: edits that wait to be sent need the rest of the storage

const keyOf = ({ name, frame, slice }) => `${name}/${frame}/${slice}`;

export class Steps {
  // there: whether a step's case is still in the study
  constructor(storageKey, there) {
    const kept = JSON.parse(sessionStorage.getItem(storageKey) ?? "{}");
    const steps = (list) => (list ?? []).filter(there).map((step) => ({ ...step, merge: null }));
    // versions: of each slice, the last one that came from this tab
    Object.assign(this, { storageKey, past: steps(kept.past), future: steps(kept.future), versions: kept.versions ?? {} });
  }

  // A step from the objects `before` to those `after`; it goes on with the last one where that merges.
  add(place, before, after, merge) {
    const now = performance.now(), last = this.past.at(-1);
    if (merge && last?.merge === merge && keyOf(last) === keyOf(place) && now - last.at < MERGED) {
      Object.assign(last, { after, at: now });
    } else {
      this.past.push({ ...place, before, after, merge, at: now });
    }
    this.future = [];
  }

  sent(place, version) {
    this.versions[keyOf(place)] = version;
    this.store();
  }

  // Whether nobody else has changed the slice since this tab did.
  holds(place, version) {
    return this.versions[keyOf(place)] === version;
  }

  forget(place) {
    const other = (step) => keyOf(step) !== keyOf(place);
    [this.past, this.future] = [this.past.filter(other), this.future.filter(other)];
    this.store();
  }

  store() {
    const { storageKey, past, future, versions } = this;
    for (let most = MOST; most >= 1; most = Math.floor(most / 2)) {
      const text = JSON.stringify({ past: past.slice(-most), future: future.slice(-most), versions });
      if (text.length <= LONGEST) return sessionStorage.setItem(storageKey, text);
    }
    sessionStorage.removeItem(storageKey);
  }
}
