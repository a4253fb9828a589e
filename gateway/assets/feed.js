// A ring of the last changes of the chosen lot, newest first. Pausing holds the list, not the ring.
import { byId, clock, h, options, put, roving, t } from "./dom.js";
import { shape, word } from "./status.js";

const RING = 200;
const PAINT_MS = 250;
const ROWS_PER_PAINT = 30; // in a storm the newest; a line counts the others
const KINDS = {
  occupancy: ["slot.occupied", "slot.vacated"],
  promises: ["slot.hold_began"],
  sensors: ["slot.heard", "slot.silent"],
  counts: ["count.recorded", "count.silent"],
};

function kindOf(type) {
  for (const [kind, types] of Object.entries(KINDS)) if (types.includes(type)) return kind;
  return type.startsWith("reservation.") ? "promises" : "places";
}

export class Feed {
  constructor({ onGo }) {
    this.list = byId("feed");
    this.ring = [];
    this.fresh = 0; // entries at the front of the ring that the list does not show yet
    this.paused = false;
    this.kind = byId("feed-kind");
    this.pause = byId("feed-pause");
    options(this.kind, ["", ...Object.keys(KINDS), "places"].map((kind) => [kind, t(`kind.${kind || "all"}`)]));
    this.kind.addEventListener("change", () => this.rebuild());
    this.pause.addEventListener("click", () => {
      this.paused = !this.paused;
      this.pause.setAttribute("aria-pressed", String(this.paused));
      put(this.pause, t(this.paused ? "console.go_on" : "console.pause"));
      this.paint();
    });
    this.rove = roving(this.list, "button", {
      step: (key, _, all, at) => ({ ArrowDown: all[at + 1], ArrowUp: all[at - 1], Home: all[0], End: all[all.length - 1] })[key],
    });
    this.list.addEventListener("click", (event) => {
      const row = event.target.closest("button[data-go]");
      if (row) onGo(row.dataset.go);
    });
    setInterval(() => this.fresh && this.paint(), PAINT_MS);
  }

  reset(lot) {
    this.lot = lot;
    this.ring = [];
    this.rebuild();
  }

  // `before` is the status the slot had, which the stream does not repeat.
  add(change, before) {
    this.ring.unshift({ change, before });
    if (this.ring.length > RING) this.ring.pop();
    this.fresh = Math.min(this.fresh + 1, RING);
  }

  rebuild() {
    this.list.replaceChildren();
    this.fresh = this.ring.length;
    const held = this.paused;
    this.paused = false;
    this.paint();
    this.paused = held;
  }

  paint() {
    put(byId("feed-held"), this.paused && this.fresh ? t("console.held_back", { n: this.fresh }) : "");
    if (this.paused || document.hidden) return;
    const fitting = this.ring.slice(0, this.fresh).filter(({ change }) => !this.kind.value || kindOf(change.type) === this.kind.value);
    this.fresh = 0;
    const left = fitting.length - ROWS_PER_PAINT;
    const rows = (this.list.firstChild ? fitting.slice(0, ROWS_PER_PAINT) : fitting).map((entry) => this.row(entry));
    if (left > 0 && this.list.firstChild) rows.push(h("li", {}, h("p", { class: "quiet" }, "⋮", h("span", {}, t("feed.left_out", { n: left })))));
    this.list.prepend(...rows);
    while (this.list.children.length > RING) this.trim();
    byId("feed-note").hidden = this.list.children.length > 0;
    this.rove.ensure();
  }

  trim() {
    const last = this.list.lastElementChild;
    if (last.contains(document.activeElement)) this.rove.choose(this.list.querySelector("button"), true);
    last.remove();
  }

  row({ change, before }) {
    const time = h("time", { datetime: change.at, class: "number" }, clock(change.at, this.lot.time_zone));
    const text = h("span", { class: "what" });
    if (change.slot && before && change.status && before !== change.status) text.append(shape(before), h("span", { class: "unseen" }, word(before)), " → ", shape(change.status), ` ${word(change.status)}`);
    else {
      const { i18n } = window.lotkeeper, key = `type.${change.type}`, at = (time) => clock(time, this.lot.time_zone).slice(0, 5);
      const say = () => text.append(t(key), change.from_time ? ` ${at(change.from_time)}–${at(change.to_time)}` : "");
      i18n.has(key) ? say() : i18n.load("gate").then(say); // words of stays come with the first
    }
    const inner = [time, h("b", {}, change.slot ?? ""), text];
    return h("li", { "data-seq": change.seq, "data-type": change.type }, change.slot ? h("button", { type: "button", tabindex: "-1", "data-go": change.slot }, ...inner) : h("p", {}, ...inner));
  }
}
