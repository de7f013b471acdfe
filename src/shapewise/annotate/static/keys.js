// The keyboard: all that the mouse can do. One table says what every key does, and fills the help.

import * as act from "./actions.js";
import { addDraftPoint } from "./pointer.js";

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const tool = (name) => (desk) => Object.assign(desk, { tool: name, draft: null }) && desk.tell("change");
const shown = (change) => (desk) => (change(desk), desk.tell("change"));
const doubted = (desk) => desk.object?.doubt ?? desk.doubt ?? 0;
const zoom = (factor) => shown((desk) => desk.view.zoomBy(factor));
const level = (l, w) => shown((desk) => desk.pictures.adjust(l, w));

// [group, keys, what the help says, what happens]
const TABLE = [
  ["Look", ["PageUp", "k"], "slice above", (desk) => desk.go(desk.slice - 1)],
  ["Look", ["PageDown", "j"], "slice below", (desk) => desk.go(desk.slice + 1)],
  ["Look", ["n"], "next case", (desk) => act.step(desk, 1)],
  ["Look", ["b"], "previous case", (desk) => act.step(desk, -1)],
  ["Look", ["f"], "the patient's other frame: ED or ES", act.otherPhase],
  ["Look", ["+", "="], "zoom in (mouse: Ctrl and wheel)", zoom(1.25)],
  ["Look", ["-"], "zoom out", zoom(0.8)],
  ["Look", ["0"], "the whole slice", shown((desk) => desk.view.fit())],
  ["Look", ["["], "darker (mouse: right button, up and down)", level(0.05, 0)],
  ["Look", ["]"], "brighter", level(-0.05, 0)],
  ["Look", ["{"], "wider window (mouse: right button, sideways)", level(0, 0.1)],
  ["Look", ["}"], "narrower window", level(0, -0.1)],
  ["Look", ["l"], "the first window and level again", shown((desk) => desk.pictures.reset())],
  ["Look", ["h"], "hide or show the outlines", shown((desk) => (desk.outlined = !desk.outlined))],
  ["Look", ["v"], "the region that the numbers alone describe", act.toggleRegion],
  ["Draw", ["e"], "ellipse: Enter puts one at the crosshair (mouse: drag from its centre)", tool("ellipse")],
  ["Draw", ["x"], "ellipse by its four extreme points", tool("extremes")],
  ["Draw", ["p"], "polygon; Shift+Enter closes it (mouse: its first corner, or a double click)", tool("polygon")],
  ["Draw", ["Enter"], "put a point, or an ellipse, at the crosshair; where an object is, take the crosshair first, to draw it anew", enter],
  ["Draw", ["Escape"], "leave off", escape],
  ["Draw", ["q"], "turn to the left", (desk) => act.turnBy(desk, -3)],
  ["Draw", ["w"], "turn to the right", (desk) => act.turnBy(desk, 3)],
  ["Draw", ["t"], "take the next handle, which the arrows then move", (desk, e) => act.nextHandle(desk, e.shiftKey ? -1 : 1)],
  ["Draw", ["a"], "absent: the class is not on this slice", act.markAbsent],
  ["Draw", ["Delete", "Backspace"], "forget the object", act.clear],
  ["Draw", ["r"], "around another class: its outline is cut out", act.cycleAround],
  ["Draw", [","], "less sure", (desk) => act.doubt(desk, doubted(desk) + 0.5)],
  ["Draw", ["."], "surer", (desk) => act.doubt(desk, doubted(desk) - 0.5)],
  ["Slices", ["c"], "copy from the slice above", act.copyAbove],
  ["Slices", ["i"], "interpolate up and down from here, between annotated slices", act.interpolate],
  ["Slices", ["y"], "accept the run's suggestion; Shift+Y of every class", (desk, e) => act.accept(desk, e.shiftKey)],
];
const SHOWN_ONLY = [
  ["Draw", "1 to 9", "choose the class"],
  ["Draw", "Arrows", "move the crosshair, or the object that is there"],
  ["Draw", "Shift+Arrows", "make the object larger and smaller"],
  ["Look", "Alt+Arrows", "pan (mouse: middle button, or Space and drag)"],
  ["Slices", "Ctrl+Z, Ctrl+Y", "undo, redo"],
  ["Slices", "Ctrl+S", "write the table"],
];
const LOOKS = new Set(TABLE.filter(([group]) => group === "Look").flatMap(([, keys]) => keys).concat("?"));
const BINDINGS = new Map(TABLE.flatMap(([, keys, , action]) => keys.map((key) => [key, action])));

function enter(desk, event) {
  if (desk.tool === "ellipse") {
    if (!desk.object || desk.object.shape.kind === "absent") act.placeAtCrosshair(desk);
    return;
  }
  const there = desk.object && desk.object.shape.kind !== "absent";
  if (there && !desk.draft) Object.assign(desk, { draft: [], handle: null }); // the arrows leave it for the crosshair
  else addDraftPoint(desk, desk.crosshair, event.shiftKey && desk.draft?.length > 2);
  desk.pointing = true;
  desk.tell("change");
}

function escape(desk) {
  Object.assign(desk, { draft: null, handle: null, pointing: false });
  desk.tell("change");
}

export function listen(desk, { help, write }) {
  addEventListener("keydown", (event) => {
    if (help.open || event.target.matches("select, input:not([type=range])")) return;
    if (event.target.matches("input[type=range]") && event.key in ARROWS) return;
    if (event.target.matches("button") && (event.key === "Enter" || event.key === " ")) return;
    const action = find(event);
    if (event.key === " ") desk.spaceHeld = true;
    if (!action && event.key !== " ") return;
    event.preventDefault();
    const elsewhere = ["n", "b"].includes(event.key.toLowerCase()) || event.key === "?";
    if (!action || desk.dragging || (!desk.ready && !elsewhere)) return;
    const before = desk.active, chooses = /^[1-9]$/.test(event.key);
    if (!chooses) desk.touch(!event.repeat && !looks(event)); // looking is no work on an object
    action(desk, event);
    if (chooses) desk.touch(desk.active !== before); // spent on the class that was chosen
  });
  addEventListener("keyup", (event) => event.key === " " && (desk.spaceHeld = false));

  function looks({ key, altKey }) {
    return key in ARROWS ? altKey : LOOKS.has(lowered(key));
  }

  function find(event) {
    const { key } = event, lower = lowered(key);
    const types = event.getModifierState("AltGraph"); // brackets, on some keyboards, and no shortcut
    if ((event.ctrlKey || event.metaKey) && !types) {
      if (lower === "z") return event.shiftKey ? () => desk.redo() : () => desk.undo();
      return { y: () => desk.redo(), s: write }[lower];
    }
    if (key in ARROWS) return () => arrow(event);
    if (event.altKey && !types) return undefined;
    if (key === "?") return () => help.showModal();
    const name = /^[1-9]$/.test(key) ? desk.study.classes[key - 1] : undefined;
    if (name) return shown(() => Object.assign(desk, { active: name, handle: null, draft: null }));
    return BINDINGS.get(lower);
  }

  function arrow(event) {
    const [dy, dx] = ARROWS[event.key];
    if (event.altKey) shown(() => desk.view.pan([-40 * dy, -40 * dx]))(desk);
    else if (event.shiftKey) act.growBy(desk, dy ? 0 : 1, dy ? -dy : dx);
    else act.moveBy(desk, [dy, dx]);
  }
}

export function fillHelp(dialog) {
  const rows = [...TABLE.map(([group, keys, text]) => [group, keys.map(pretty).join(", "), text]), ...SHOWN_ONLY];
  const title = Object.assign(document.createElement("h2"), { textContent: "Keys" });
  const close = Object.assign(document.createElement("button"), { textContent: "Close", className: "main" });
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(close, title);
  for (const group of ["Draw", "Slices", "Look"]) {
    const list = document.createElement("dl");
    for (const [, keys, text] of rows.filter((row) => row[0] === group)) {
      const term = document.createElement("dt"), meaning = document.createElement("dd");
      term.append(Object.assign(document.createElement("kbd"), { textContent: keys }));
      meaning.textContent = text;
      list.append(term, meaning);
    }
    dialog.append(list);
  }
}

const lowered = (key) => (key.length === 1 ? key.toLowerCase() : key);
const pretty = (key) => (key.length === 1 ? key.toUpperCase() : key);
