// The same slots as a table, in portions: two thousand rows at once help nobody.
import { ago, h, instant, put, t } from "./dom.js";
import { byCode } from "./map.js";
import { shape, word } from "./status.js";

const PORTION = 100;

export class SlotTable {
  constructor(container, { onOpen }) {
    this.container = container;
    this.onOpen = onOpen;
    this.rows = new Map();
    this.dirty = new Set();
    this.limit = PORTION;
    this.visible = false;
    this.queued = false;
  }

  show(lot, slots, zone, status) {
    this.visible = true;
    const key = `${lot.code}|${zone}|${status}`;
    if (key !== this.key) this.limit = PORTION;
    this.key = key;
    this.source = { lot, slots, zone, status };
    this.build();
  }

  hide() {
    this.visible = false;
    this.rows.clear();
    this.container.replaceChildren();
  }

  build() {
    const { lot, slots, zone, status } = this.source;
    const names = new Map((lot.zones ?? []).map((one) => [one.code, one.name || one.code]));
    const fitting = [...slots.values()].filter((slot) => (!zone || (slot.zone ?? "") === zone) && (!status || slot.status === status));
    fitting.sort((a, b) => byCode.compare(a.slot, b.slot));
    this.rows.clear();
    const body = h("tbody", {}, ...fitting.slice(0, this.limit).map((slot) => this.row(slot, names)));
    const heads = ["slot", "zone", "status", "since", "observed"].map((name) => h("th", { scope: "col" }, t(`field.${name}`)));
    const table = h("table", {}, h("caption", { class: "unseen" }, lot.name), h("thead", {}, h("tr", {}, ...heads)), body);
    const left = fitting.length - this.limit;
    const more = left > 0 && h("button", { type: "button", onclick: () => { this.limit += PORTION; this.build(); } }, t("list.more", { left }));
    this.container.replaceChildren(...(fitting.length ? [table, more] : [h("p", { class: "note" }, t("list.none"))]).filter(Boolean));
  }

  row(slot, names) {
    const row = { code: slot.slot, word: h("span"), since: h("td", { class: "number" }), observed: h("td", { class: "number" }), shape: shape(slot.status) };
    const open = h("button", { type: "button", class: "code", "data-row": slot.slot, onclick: (event) => this.onOpen(slot.slot, event.currentTarget) }, slot.slot);
    row.node = h("tr", {}, h("th", { scope: "row" }, open), h("td", {}, names.get(slot.zone) ?? slot.zone ?? "–"), h("td", { class: "state" }, row.shape, " ", row.word), row.since, row.observed);
    this.rows.set(slot.slot, row);
    this.patch(row, slot);
    return row.node;
  }

  patch(row, slot) {
    const zone = this.source.lot.time_zone;
    row.shape.dataset.status = slot.status;
    put(row.word, word(slot.status));
    put(row.since, slot.since ? `${instant(slot.since, zone)} · ${ago(slot.since)}` : "–");
    put(row.observed, instant(slot.observed_at, zone));
  }

  // A row that no longer fits the filter stays until the filter is set anew: rows must not jump under a finger.
  touch(slot) {
    if (!this.visible || !this.rows.has(slot.slot)) return;
    this.dirty.add(slot.slot);
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => {
      this.queued = false;
      for (const code of this.dirty) {
        const now = this.source.slots.get(code);
        if (now && this.rows.has(code)) this.patch(this.rows.get(code), now);
      }
      this.dirty.clear();
    });
  }

  focus(code) {
    if (!this.rows.has(code)) { this.limit = Infinity; this.build(); }
    const button = this.rows.get(code)?.node.querySelector("button");
    button?.focus();
    button?.scrollIntoView({ block: "center" });
    return !!button;
  }
}
