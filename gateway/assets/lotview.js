// The middle of the console: the chosen lot with its figures, filters, map or list, and the curve of this session.
// It owns the slots of one lot only: choosing another lot forgets the first.
import { lotPath, request, slotPath } from "./api.js";
import { byId, clock, h, instant, options, percent, put, t } from "./dom.js";
import { path } from "./history.js";
import { freeText } from "./lots.js";
import { byCode, TileMap } from "./map.js";
import { STATUSES, fullness, isKnown, shape, word } from "./status.js";
import { SlotTable } from "./table.js";
import { tips } from "./tip.js";

const COUNT_MS = 2000; // the raw figure of a counted lot is asked for at most this often
const SAY_MS = 10000;
const SENSOR_AFTER = { "slot.silent": "silent", "slot.heard": "good", "slot.occupied": "good", "slot.vacated": "good" };

export class LotView {
  // onOpen(code, opener) opens the drawer, onChange(change, before) feeds the feed, onStale wants a snapshot.
  constructor({ onOpen, onChange, onStale }) {
    Object.assign(this, { onChange, onStale, lot: null, slots: new Map(), loaded: false, asList: false });
    this.map = new TileMap(byId("map"), { onOpen });
    this.table = new SlotTable(byId("list"), { onOpen });
    tips(byId("map"), (code) => this.slots.get(code));
    this.said = { at: -Infinity, text: "" };
    for (const id of ["filter-zone", "filter-status"]) byId(id).addEventListener("change", () => this.refilter());
    byId("view-map").addEventListener("click", () => this.view(false));
    byId("view-list").addEventListener("click", () => this.view(true));
    this.figures = new Map(STATUSES.map((status) => [status, h("b", {}, "–")]));
    byId("legend").replaceChildren(...STATUSES.map((status) => h("li", { "data-legend": status }, shape(status), " ", word(status), " ", this.figures.get(status))));
    options(byId("filter-status"), [["", t("console.all")], ...STATUSES.map((status) => [status, word(status)])]);
  }

  show(lot) {
    this.lot = lot;
    this.loaded = false;
    this.slots.clear();
    put(byId("lot-name"), lot.name);
    const zones = (lot.zones ?? []).map((zone) => [zone.code, zone.name || zone.code]);
    byId("filter-zone").value = "";
    options(byId("filter-zone"), [["", t("console.all")], ...zones.sort((a, b) => byCode.compare(a[1], b[1]))]);
    byId("tools").hidden = byId("map").hidden = byId("list").hidden = true;
    this.table.hide();
    this.note(t("console.loading"));
    this.counts();
    this.drawCurve();
  }

  // No lot at all, or one that cannot be shown: the words say why and what to do.
  nothing(title, text) {
    this.lot = null;
    this.loaded = false;
    put(byId("lot-name"), title);
    put(byId("lot-full"), "");
    for (const id of ["tools", "map", "list", "curve", "legend"]) byId(id).hidden = true;
    this.note(text);
  }

  refuse(text) {
    for (const id of ["tools", "map", "list"]) byId(id).hidden = true;
    this.note(text);
  }

  note(text) {
    byId("lot-note").hidden = !text;
    put(byId("lot-note"), text);
  }

  snapshot(message) {
    const again = this.loaded && message.slots.length === this.slots.size && message.slots.every((slot) => this.slots.has(slot.slot));
    const before = this.slots;
    this.slots = new Map(message.slots.map((slot) => [slot.slot, slot]));
    this.loaded = true;
    if (again && [...before].every(([code, slot]) => slot.zone === this.slots.get(code).zone)) { // keep focus and scroll
      for (const slot of this.slots.values()) { this.map.touch(slot, false); this.table.touch(slot); }
      if (this.asList) this.table.source.slots = this.slots;
      return;
    }
    this.map.build(this.lot, this.slots);
    this.map.counts(this.lot.counts);
    byId("tools").hidden = this.slots.size === 0;
    if (this.slots.size) this.note("");
    else this.note(this.lot.kind === "counted" ? "" : t("lot.no_slots"));
    this.counted();
    this.view(this.asList);
  }

  changes(message) {
    for (const change of message.changes) {
      const slot = change.slot && this.slots.get(change.slot);
      const before = slot ? slot.status : null;
      if (slot) this.apply(slot, change);
      else if (change.slot) this.onStale();
      if (change.type === "count.recorded") this.asking ??= setTimeout(() => { this.asking = null; this.counted(); }, COUNT_MS);
      if (change.type === "slot.changed" && slot) this.reread(slot);
      this.onChange(change, before);
    }
  }

  apply(slot, change) {
    const moved = change.status && change.status !== slot.status;
    if (moved) { slot.status = change.status; slot.since = change.since ?? change.at; }
    if (change.observed_at) slot.observed_at = change.observed_at;
    slot.sensor = change.sensor ?? SENSOR_AFTER[change.type] ?? slot.sensor;
    if (moved) this.map.touch(slot, true);
    this.table.touch(slot);
  }

  // Attributes are not part of the entry: the zone may have changed, which moves the tile.
  async reread(slot) {
    const lot = this.lot;
    const { json } = await request(slotPath(lot.code, slot.slot)).catch(() => ({ json: null }));
    if (!json || this.lot !== lot) return;
    const moved = (json.zone ?? null) !== (slot.zone ?? null);
    Object.assign(slot, { zone: json.zone, size: json.size, features: json.features });
    if (!moved) return;
    this.map.build(lot, this.slots);
    this.refilter();
  }

  // A counted lot without slots has no map; its raw count is what there is to see.
  async counted() {
    const lot = this.lot;
    if (lot?.kind !== "counted" || this.slots.size) return;
    const { json } = await request(`${lotPath(lot.code)}/availability`).catch(() => ({ json: null }));
    if (!json?.counted || this.lot !== lot || this.slots.size) return;
    const { occupied, capacity, condition, observed_at } = json.counted;
    this.note(t("lot.counted", { occupied: occupied ?? "–", capacity, condition: t(`condition.${condition}`), at: instant(observed_at, lot.time_zone) }));
  }

  counts() {
    const counts = this.lot?.counts ?? null;
    const share = fullness(counts);
    byId("legend").hidden = !counts;
    put(byId("lot-full"), share === null ? t("sign.no_count") : counts.free > 0 ? t("lot.full_share", { share: percent(share), free: counts.free }) : freeText(counts));
    for (const [status, node] of this.figures) put(node, counts ? String(counts[status]) : "–");
    this.map.counts(counts);
    const text = isKnown(counts) ? t("lot.say", { name: this.lot.name, free: counts.free, capacity: counts.capacity }) : "";
    if (!text || text === this.said.text || performance.now() - this.said.at < SAY_MS) return;
    this.said = { at: performance.now(), text };
    put(byId("say"), text);
  }

  view(asList) {
    this.asList = asList;
    byId("view-map").setAttribute("aria-pressed", String(!asList));
    byId("view-list").setAttribute("aria-pressed", String(asList));
    byId("map").hidden = asList || !this.slots.size;
    byId("list").hidden = !asList || !this.slots.size;
    this.refilter();
  }

  refilter() {
    const zone = byId("filter-zone").value;
    const status = byId("filter-status").value;
    this.map.filter(zone, status);
    if (this.asList && this.slots.size) this.table.show(this.lot, this.slots, zone, status);
    else this.table.hide();
  }

  // Goes to a slot wherever it is, loosening a filter that hides it.
  go(code) {
    const slot = this.slots.get(code);
    if (!slot) return false;
    const zone = byId("filter-zone");
    const status = byId("filter-status");
    if (zone.value && zone.value !== slot.zone) zone.value = "";
    if (status.value && status.value !== slot.status) status.value = "";
    this.refilter();
    return this.asList ? this.table.focus(code) : this.map.focus(code);
  }

  drawCurve() {
    const history = this.lot?.history;
    const shown = !!history && history.curve.some((share) => share !== null);
    byId("curve").hidden = !shown;
    if (!shown) return;
    const points = [...history.curve, fullness(this.lot.counts)];
    const known = points.filter((share) => share !== null);
    const plot = byId("curve-plot");
    plot.querySelector(".line").setAttribute("d", path(points, 300, 100, points.length));
    plot.setAttribute("aria-label", t("lot.curve", { now: percent(fullness(this.lot.counts)), low: percent(Math.min(...known)), high: percent(Math.max(...known)) }));
    put(byId("curve-from"), clock(history.from, this.lot.time_zone).slice(0, 5));
  }
}
