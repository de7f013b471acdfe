// Puts the page together.

import * as act from "./actions.js";
import { readStudy, writeTable } from "./api.js";
import { Desk } from "./desk.js";
import * as keys from "./keys.js";
import { paint } from "./paint.js";
import { Panel } from "./panel.js";
import * as pointer from "./pointer.js";
import * as strip from "./strip.js";

const $ = (id) => document.getElementById(id);
const HINTS = {
  ellipse: "Drag from the centre of the object; Shift for a circle.",
  extremes: "Click the highest, lowest, leftmost and rightmost points, in any order.",
  polygon: "Click the corners; the first one, or a double click, closes.",
};

function notice(text, buttons = []) {
  $("notice").hidden = !text;
  const parts = buttons.map(([label, action]) => {
    const button = Object.assign(document.createElement("button"), { textContent: label });
    button.addEventListener("click", () => ((($("notice").hidden = true)), action()));
    return button;
  });
  const said = Object.assign(document.createElement("span"), { textContent: text ?? "" });
  $("notice").replaceChildren(said, ...parts);
}

const dismissed = (text) => notice(text, [["Close", () => {}]]);

function showStatus(desk) {
  const { size, trouble } = desk.outbox, edits = size === 1 ? "1 edit" : `${size} edits`;
  const open = desk.conflicts.length ? "not saved: choose above" : null;
  const text = open ? open : trouble ? `${trouble} · ${edits} kept here, trying again` : size ? "saving…" : "saved";
  $("status").textContent = text;
  $("status").className = open || trouble ? "bad" : size ? "" : "good";
}

function showCase(desk) {
  const { study } = desk, found = desk.case;
  if ($("case").options.length !== study.cases.length) {
    $("case").replaceChildren(...study.cases.map((each, i) => new Option("", i)));
  }
  study.cases.forEach((each, i) => {
    const frame = each.phase ?? (each.frame ? `frame ${each.frame}` : "");
    const label = `${each.name}${frame && ` · ${frame}`}${each.done ? ` · ${each.done} done` : ""}`;
    if ($("case").options[i].text !== label) $("case").options[i].text = label;
  });
  $("case").value = desk.index;
  const other = study.cases.find((each) => each.patient === found?.patient && each.frame !== found.frame);
  $("phase").hidden = !other;
  if (other) $("phase").textContent = `to ${other.phase ?? `frame ${other.frame}`}`;
  $("previous-case").disabled = desk.wanted <= 0;
  $("next-case").disabled = desk.wanted >= study.cases.length - 1;
  $("where").textContent = desk.meta ? `slice ${desk.slice + 1} of ${desk.depth}` : "";
}

function countDone(desk) {
  if (!desk.case) return;
  const full = (state) => desk.study.classes.every((name) => state.objects[name]);
  desk.case.done = Object.values(desk.states).filter(full).length;
}

function showCorner(desk, at) {
  if (!desk.meta) return;
  const [low, high] = desk.pictures.window.map(Math.round);
  const lines = [`window ${low} to ${high}`, `zoom ${Math.round(desk.view.zoom * 100)}%`];
  if (desk.loading) lines.push("opening…");
  if (desk.region && !desk.region.converged) lines.push("these numbers are not met exactly");
  const [rows, columns] = desk.view.size, [row, column] = (at ?? []).map(Math.round);
  if (at && desk.pixels && row >= 0 && row < rows && column >= 0 && column < columns) {
    const { low: least, high: most } = desk.meta;
    const value = least + (desk.pixels[row * columns + column] * (most - least)) / 65535;
    lines.push(`row ${row}, column ${column}: ${Number(value.toPrecision(4))}`);
  }
  $("corner").textContent = lines.join("\n");
}

async function write(desk) {
  try {
    const done = await writeTable();
    const left = done.unfinished.length;
    const open = left ? ` ${left} unfinished left out, first ${done.unfinished[0]} (slices counted from 0).` : "";
    const text = done.slices ? `${done.numbers} numbers of ${done.slices} slices in ${desk.study.out}.` : "No slice is finished yet.";
    dismissed(`${text}${open}`);
  } catch (error) {
    dismissed(error.status ? error.message : "Connection lost: the table was not written.");
  }
}

function draw(desk, panel) {
  countDone(desk);
  showCase(desk);
  panel.update();
  showCorner(desk);
  $("undo").disabled = !desk.steps.past.length;
  $("redo").disabled = !desk.steps.future.length;
  $("hint").textContent = desk.object && desk.object.shape.kind !== "absent" && !desk.draft ? "" : HINTS[desk.tool];
  paint($("canvas"), desk);
  strip.paintStrip($("strip"), desk);
  document.body.dataset.region = desk.region ? "shown" : "hidden";
  document.body.dataset.ready = !desk.loading && desk.pixelsOf === desk.slice ? `${desk.index}/${desk.slice}` : "";
}

function drawWhatChanges(desk) {
  const panel = new Panel(desk);
  let due = false;
  desk.addEventListener("change", () => {
    if (!due) requestAnimationFrame(() => ((due = false), draw(desk, panel)));
    due = true;
  });
}

function sayWhatHappens(desk) {
  let troubled = false;
  desk.addEventListener("status", () => {
    showStatus(desk);
    if (troubled && !desk.outbox.trouble) desk.touched(); // what could not be measured meanwhile
    troubled = Boolean(desk.outbox.trouble);
  });
  desk.addEventListener("notice", (event) => dismissed(event.detail));
  desk.addEventListener("hover", (event) => showCorner(desk, event.detail));
  desk.addEventListener("conflict", ({ detail }) =>
    notice(`Slice ${detail.place.slice + 1} of ${detail.place.name} was changed in another tab after you opened it.`, [
      ["Keep mine", () => desk.settle(true)],
      ["Take the other", () => desk.settle(false)],
    ]));
}

function fitCanvas(canvas, desk) {
  new ResizeObserver(() => {
    canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
    canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
    desk.view.resize([canvas.clientHeight, canvas.clientWidth]);
    desk.tell("change");
  }).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => desk.tell("change"));
}

function listen(desk) {
  const canvas = $("canvas"), click = (id, action) => $(id).addEventListener("click", action);
  pointer.listen(canvas, desk);
  strip.listen($("strip"), desk);
  keys.fillHelp($("help"));
  keys.listen(desk, { help: $("help"), write: () => write(desk) });
  $("case").addEventListener("change", (event) => (desk.open(Number(event.target.value)), canvas.focus()));
  click("previous-case", () => act.step(desk, -1));
  click("next-case", () => act.step(desk, 1));
  click("phase", () => act.otherPhase(desk));
  click("undo", () => desk.undo());
  click("redo", () => desk.redo());
  click("help-button", () => $("help").showModal());
  click("export", () => write(desk));
  $("around").addEventListener("change", () => canvas.focus());
  // What the mouse has chosen leaves the keys to the picture: Enter and Space would press its button again.
  document.querySelector("main").addEventListener("click", (event) => event.detail && canvas.focus());
}

// The case that the address names, -1 where it names none.
function asked(desk) {
  try {
    const [name, frame] = decodeURIComponent(location.hash.slice(1)).split("/");
    return desk.indexOf(name, Number(frame));
  } catch {
    return -1; // no such encoding
  }
}

async function start() {
  let study;
  try {
    study = await readStudy();
  } catch (error) {
    if (error.status) return notice(error.message);
    notice("Connection lost: trying again.");
    return setTimeout(start, 1000);
  }
  notice("");
  const desk = new Desk(study);
  globalThis.desk = desk;
  drawWhatChanges(desk);
  sayWhatHappens(desk);
  fitCanvas($("canvas"), desk);
  listen(desk);
  showStatus(desk);
  if (desk.conflicts.length) desk.tell("conflict", desk.conflicts[0]);
  desk.outbox.flush();
  await desk.open(Math.max(0, asked(desk)));
  $("canvas").focus();
}

start();
