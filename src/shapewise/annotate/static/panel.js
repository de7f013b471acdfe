// The panel beside the picture: classes, actions, how sure, and the numbers.

import * as act from "./actions.js";
import { colourOf } from "./paint.js";

const ROWS = [
  ["V", "volume", 0], ["C row", "centroid", 0], ["C column", "centroid", 1], ["D row", "spread", 0],
  ["D column", "spread", 1], ["Σ rr", "covariance", 0], ["Σ rc", "covariance", 1], ["Σ cc", "covariance", 2],
  ["L", "length", 0],
];
const POWER = { volume: "²", covariance: "²" };
const $ = (id) => document.getElementById(id);
const make = (tag, text, attributes = {}) => Object.assign(document.createElement(tag), { textContent: text ?? "", ...attributes });
const short = (x) => (x === null || x === undefined ? "–" : String(Number(x.toFixed(Math.abs(x) < 100 ? 2 : 1)) || 0));

export class Panel {
  constructor(desk) {
    this.desk = desk;
    for (const button of document.querySelectorAll("[data-tool]")) {
      button.addEventListener("click", () => {
        Object.assign(desk, { tool: button.dataset.tool, draft: null });
        desk.tell("change");
      });
    }
    const actions = {
      absent: act.markAbsent, clear: act.clear, copy: act.copyAbove, interpolate: act.interpolate,
      region: act.toggleRegion, accept: (each, event) => act.accept(each, event.shiftKey),
    };
    for (const [id, action] of Object.entries(actions)) {
      $(id).addEventListener("click", (event) => desk.ready && (desk.touch(true), action(desk, event)));
    }
    $("accept").hidden = !desk.study.suggests;
    $("doubt").addEventListener("input", (event) => {
      if (!desk.ready) return desk.tell("change");
      desk.touch(false);
      act.doubt(desk, event.target.valueAsNumber);
    });
    $("doubt").addEventListener("change", () => desk.touch(true));
    $("around").addEventListener("change", ({ target }) => desk.ready && (desk.touch(true), act.around(desk, target.value || null)));
    desk.study.classes.forEach((name, i) => $("classes").append(this.card(name, i)));
  }

  card(name, index) {
    const card = make("button", null, { className: "class" });
    card.setAttribute("role", "option");
    card.dataset.class = name;
    const swatch = make("span", null, { className: "swatch" });
    swatch.style.background = colourOf(this.desk, name);
    card.append(swatch, make("span", name), make("span", null, { className: "what" }));
    if (index < 9) card.append(make("kbd", String(index + 1)));
    card.addEventListener("click", () => {
      Object.assign(this.desk, { active: name, handle: null, draft: null });
      this.desk.touch(true);
      this.desk.touched();
    });
    return card;
  }

  update() {
    const { desk } = this, { object } = desk;
    for (const button of document.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", button.dataset.tool === desk.tool);
    }
    for (const card of $("classes").children) {
      card.setAttribute("aria-selected", card.dataset.class === desk.active);
      card.querySelector(".what").textContent = this.describe(card.dataset.class);
    }
    $("region").setAttribute("aria-pressed", desk.regionOn);
    $("clear").disabled = !object;
    $("accept").disabled = !desk.suggestion;
    const doubt = object?.doubt ?? desk.doubt ?? 0;
    $("doubt").value = doubt;
    $("sure").textContent = doubt ? `± ${doubt} px` : "as the experiment's margin says";
    const others = desk.study.classes.filter((name) => name !== desk.active);
    const options = [make("option", "nothing", { value: "" }), ...others.map((name) => make("option", name, { value: name }))];
    if (document.activeElement !== $("around")) {
      $("around").replaceChildren(...options);
      $("around").value = object?.around ?? "";
    }
    $("around").disabled = !object || object.shape.kind === "absent";
    this.showNumbers();
  }

  describe(name) {
    const { desk } = this, object = desk.objects[name], numbers = desk.numbers[name];
    if (!object) return desk.suggestion?.objects[name] ? "suggested" : "";
    if (object.shape.kind === "absent") return "absent";
    const volume = numbers?.px.volume[0][0];
    if (volume === 0) return "covers no pixel: absent";
    const around = object.around ? ` around ${object.around}` : "";
    return `${object.shape.kind}${around}${volume ? ` · ${volume} px²` : ""}`;
  }

  showNumbers() {
    const { desk } = this, name = desk.active;
    const numbers = desk.objects[name] ? desk.numbers[name] : null, predicted = desk.suggestion?.numbers[name];
    const columns = [["px", numbers?.px], ["mm", numbers?.mm]].filter(([unit]) => unit === "px" || desk.meta?.spacing);
    if (predicted) columns.push(["run, px", predicted.px]);
    const head = make("tr");
    head.append(make("th", name), ...columns.map(([title]) => make("th", title)));
    const body = ROWS.map(([label, descriptor, component]) => {
      const row = make("tr");
      row.append(make("th", label), ...columns.map(([title, found]) => this.cell(found?.[descriptor], component, descriptor, title)));
      return row;
    });
    const table = make("table"), [thead, tbody] = [make("thead"), make("tbody")];
    thead.append(head);
    tbody.append(...body);
    table.append(thead, tbody);
    $("numbers").replaceChildren(table);
  }

  cell(found, component, descriptor, title) {
    const [value, lower, upper] = (found ?? []).map((part) => part[component]);
    const cell = make("td", short(value), { title: `${title}${POWER[descriptor] ?? ""}` });
    if (lower !== null && lower !== undefined) cell.append(make("small", `${short(lower)} … ${short(upper)}`));
    return cell;
  }
}
