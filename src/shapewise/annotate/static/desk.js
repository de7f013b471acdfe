// What lies on the desk: the case, the slice, its objects, the class and tool at hand; and undo and redo.

import { measure, readCase, readRegion, Refused, suggest, token } from "./api.js";
import { Clock } from "./clock.js";
import { Outbox } from "./outbox.js";
import { Pictures } from "./picture.js";
import { keyOf, Steps } from "./steps.js";
import { keep } from "./storage.js";
import { View } from "./view.js";

const AGAIN = 2000; // ms until a picture that did not come is asked for again
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

export class Desk extends EventTarget {
  constructor(study) {
    super();
    // wanted: the case that was last asked for, be it open or not to be read; dragging: a hand holds something
    Object.assign(this, { study, index: -1, wanted: -1, slice: 0, dragging: false });
    Object.assign(this, { active: study.classes[0], tool: "ellipse", draft: null });
    Object.assign(this, { crosshair: [0, 0], pointing: false, handle: null, live: null, numbers: {}, outlined: true });
    Object.assign(this, { region: null, regionOn: false, suggestions: new Map(), pixels: null });
    Object.assign(this, { states: {}, unit: study.unit, loading: false, clock: new Clock() });
    this.view = new View();
    // By the token, which is the log's own: another study may have the same address, and a table of the same name.
    this.steps = new Steps(`shapewise steps ${token}`, ({ name, frame }) => this.indexOf(name, frame) >= 0);
    this.undone = Promise.resolve();
    this.conflictKey = `shapewise conflicts ${token}`;
    addEventListener("beforeunload", (event) => (this.outbox.size || this.conflicts.length) && event.preventDefault());
    this.conflicts = JSON.parse(sessionStorage.getItem(this.conflictKey) ?? "[]");
    this.outbox = new Outbox(({ name, frame }) => this.indexOf(name, frame), `shapewise ${token}`, {
      status: () => this.tell("status"),
      conflict: (place, mine, theirs) => this.meetConflict(place, mine, theirs),
      refused: (place, error) => this.meetRefusal(place, error),
    });
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  notice(text) {
    this.tell("notice", text);
  }

  indexOf(name, frame) {
    return this.study.cases.findIndex((each) => each.name === name && each.frame === frame);
  }

  get case() {
    return this.study.cases[this.index];
  }

  placeOf(slice) {
    return { name: this.case.name, frame: this.case.frame, slice };
  }

  stateOf(slice) {
    return this.states[slice] ?? { version: 0, objects: {} };
  }

  get state() {
    return this.stateOf(this.slice);
  }

  // The slice's objects; while a hand drags one, as they are under the hand.
  get objects() {
    return this.live ?? this.state.objects;
  }

  get object() {
    return this.objects[this.active];
  }

  get depth() {
    return this.meta.size[0];
  }

  // Whether the case at hand is on the screen, and not about to be left.
  get ready() {
    return Boolean(this.meta) && !this.loading;
  }

  get suggestion() {
    return this.suggestions.get(this.slice);
  }

  // Open a case; its slice in the middle, or the one asked for.
  async open(index, slice) {
    Object.assign(this, { loading: true, opening: index, wanted: index });
    this.tell("change");
    const onTheirWay = [...this.outbox.queue]; // the answer may be older than that they arrived
    const found = await readCase(index).catch((error) => error);
    if (this.opening !== index) return; // a person who was quicker wants another one by now
    this.loading = false;
    this.opening = null;
    if (found instanceof Error) {
      this.tell("change");
      return this.notice(found.message);
    }
    const meta = found;
    const sameSize = this.meta && same(this.meta.size, meta.size);
    const sameGrid = sameSize && same(this.meta.spacing, meta.spacing);
    const samePatient = this.case?.patient === this.study.cases[index].patient;
    Object.assign(this, { index, meta, states: meta.states, suggestions: new Map(), draft: null, live: null, pixelsOf: null });
    this.pictures = new Pictures(index, meta, samePatient ? this.pictures.chosen : null);
    const here = ({ name, frame }) => name === this.case.name && frame === this.case.frame;
    for (const { slice: at, base, objects } of [...onTheirWay, ...this.outbox.queue].filter(here)) {
      if (base >= this.stateOf(at).version) this.states[at] = { version: base + 1, objects };
    }
    for (const { place, mine } of this.conflicts) {
      if (here(place)) this.states[place.slice] = { ...this.stateOf(place.slice), objects: mine };
    }
    if (!sameGrid) this.view.show(meta.size.slice(1), meta.spacing?.slice(1));
    if (!sameSize) this.crosshair = meta.size.slice(1).map((length) => Math.round(length / 2));
    const middle = Math.floor(meta.size[0] / 2);
    await this.go(slice ?? middle);
    const url = new URL(location);
    url.hash = encodeURIComponent(`${this.case.name}/${this.case.frame}`);
    history.replaceState(null, "", url);
    if (index + 1 < this.study.cases.length) readCase(index + 1).catch(() => {}); // opened before it is asked for
  }

  async go(slice) {
    this.slice = Math.min(this.depth - 1, Math.max(0, slice));
    Object.assign(this, { draft: null, live: null, handle: null, region: null });
    this.tell("change");
    await this.fetchPixels();
    this.fetchSuggestion();
  }

  // Where nobody answers it asks again, for as long as this slice is to be shown.
  async fetchPixels() {
    const { pictures, slice } = this, shown = () => pictures === this.pictures && slice === this.slice;
    try {
      const pixels = await pictures.fetch(slice);
      if (!shown()) return;
      Object.assign(this, { pixels, pixelsOf: slice });
      pictures.prefetch(slice);
    } catch (error) {
      if (shown()) this.notice(error.message);
      if (!(error instanceof Refused)) setTimeout(() => shown() && this.fetchPixels(), AGAIN);
    }
    this.touched();
  }

  // One at a time: a run may think for long, and a browser keeps no more than six questions open.
  async fetchSuggestion() {
    const { index, slice, suggestions } = this, here = () => suggestions === this.suggestions && slice === this.slice;
    if (!this.study.suggests || this.suggesting || suggestions.has(slice)) return;
    this.suggesting = true;
    try {
      suggestions.set(slice, await suggest(index, slice));
    } catch (error) {
      if (here()) this.notice(error.message);
    }
    this.suggesting = false;
    this.tell("change");
    if (!here()) this.fetchSuggestion();
  }

  key(name = this.active, slice = this.slice) {
    return `${keyOf(this.placeOf(slice))}/${name}`;
  }

  touch(gesture) {
    if (this.meta) this.clock.touch(this.key(), gesture);
  }

  // Put an object in place, or take it away with null.
  put(name, drawn, merge = null) {
    this.putAll({ [name]: drawn }, merge);
  }

  putAll(changes, merge = null, slice = this.slice, group = null) {
    const { version, objects: before } = this.stateOf(slice), after = { ...before, ...changes };
    for (const [name, drawn] of Object.entries(changes)) if (drawn === null) delete after[name];
    this.steps.add(this.placeOf(slice), version, before, after, merge, group);
    this.send(after, Object.keys(changes), merge, slice);
  }

  send(objects, names, merge = null, slice = this.slice) {
    const place = this.placeOf(slice), conflict = this.conflictAt(place);
    let { version } = this.stateOf(slice);
    if (conflict) {
      conflict.mine = objects; // nothing goes to the server before its person has chosen
      this.keepConflicts(this.conflicts);
    } else {
      const costs = Object.fromEntries(names.map((name) => [name, this.clock.take(this.key(name, slice))]));
      version = this.outbox.add(place, version, objects, costs, merge);
    }
    this.states[slice] = { version, objects };
    this.steps.sent(place, version);
    this.live = null;
    this.touched();
  }

  undo() {
    return this.walk("past", "future", "before");
  }

  redo() {
    return this.walk("future", "past", "after");
  }

  // One step after the other, however quickly they are asked for.
  walk(from, to, side) {
    const take = async () => {
      let step = await this.takeStep(from, to, side);
      while (step?.group && step.group === this.steps[from].at(-1)?.group) step = await this.takeStep(from, to, side, true);
    };
    return (this.undone = this.undone.then(take, take));
  }

  // The step, where it was taken; it is looked at, unless its case is open and nobody has to see it.
  async takeStep(from, to, side, unseen = false) {
    const step = this.steps[from].at(-1);
    if (!step || !(unseen || (await this.visit(step))) || step !== this.steps[from].at(-1)) return;
    if (!this.steps.holds(step, this.stateOf(step.slice).version)) {
      this.steps.forget(step);
      this.tell("change");
      return this.notice("This slice was changed elsewhere: there is nothing to undo.");
    }
    this.steps[from].pop();
    this.steps[to].push({ ...step, merge: null });
    const names = Object.keys({ ...step.before, ...step.after });
    this.handle = null;
    this.send(step[side], names.filter((name) => !same(step.before[name], step.after[name])), null, step.slice);
    return step;
  }

  // Go where an edit was made; false where that did not succeed.
  async visit({ name, frame, slice }) {
    const index = this.indexOf(name, frame);
    if (index !== this.index) await this.open(index, slice);
    else if (slice !== this.slice) await this.go(slice);
    return index === this.index && slice === this.slice;
  }

  // Something changed that is drawn or measured.
  touched() {
    this.tell("change");
    this.unmeasured = true;
    this.measuring ??= setTimeout(() => this.remeasure(), 40);
  }

  // One question at a time: a hand that drags is quicker than a large region.
  async remeasure() {
    const { index, slice, objects } = this, still = () => index === this.index && slice === this.slice;
    this.unmeasured = false;
    try {
      const numbers = await measure(index, objects);
      const region = this.regionOn ? await readRegion(index, objects) : null;
      if (still()) Object.assign(this, { numbers, region: this.regionOn ? region : null });
    } catch (error) {
      if (still()) Object.assign(this, { numbers: {}, region: null });
      if (error.status && objects === this.objects) this.notice(error.message);
    }
    this.measuring = null;
    if (this.unmeasured) this.touched();
    else this.tell("change");
  }

  // Back to what the server has, and what still waits to be sent there.
  async meetRefusal(place, error) {
    this.steps.forget(place);
    if (this.indexOf(place.name, place.frame) === this.index && this.case && this.opening == null) {
      this.states[place.slice].version -= 1;
      await this.open(this.index, this.slice);
    }
    this.notice(`An edit of slice ${place.slice + 1} of ${place.name} was refused and is not kept: ${error.message}`);
  }

  // The later of two tabs is told. What it had drawn stays in the tab until its person chooses.
  meetConflict(place, mine, theirs) {
    this.steps.forget(place);
    if (this.indexOf(place.name, place.frame) === this.index) this.states[place.slice] = { ...theirs, objects: mine };
    this.keepConflicts([...this.conflicts.filter((each) => each !== this.conflictAt(place)), { place, mine, theirs }]);
  }

  conflictAt(place) {
    return this.conflicts.find((each) => keyOf(each.place) === keyOf(place));
  }

  keepConflicts(conflicts) {
    this.conflicts = conflicts;
    keep(this.conflictKey, JSON.stringify(conflicts));
    if (conflicts.length) this.tell("conflict", conflicts[0]);
    this.tell("status");
  }

  async settle(keepMine) {
    const conflict = this.conflicts[0], { place, theirs } = conflict;
    if (!(await this.visit(place))) return this.keepConflicts(this.conflicts);
    this.keepConflicts(this.conflicts.filter((each) => each !== conflict));
    this.states[place.slice] = theirs;
    this.steps.forget(place);
    const nothing = Object.fromEntries(Object.keys(theirs.objects).map((name) => [name, null]));
    if (keepMine) this.putAll({ ...nothing, ...conflict.mine });
    else await this.open(this.index, this.slice); // the other tab may have gone on since
  }
}
