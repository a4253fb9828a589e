// The list of lots: name, fill bar, free count, the last ten minutes. Rows are made once and patched once per frame at
// most, where something changed.
import { byId, h, put, t } from "./dom.js";
import { SPARK_POINTS, path } from "./history.js";
import { fullness, isKnown } from "./status.js";

const SVG = "http://www.w3.org/2000/svg";
const byName = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

export function freeText(counts) {
  if (!isKnown(counts)) return "–";
  if (counts.out_of_service >= counts.capacity) return t("sign.closed");
  return counts.free > 0 ? String(counts.free) : t("sign.full");
}

export class LotList {
  constructor() {
    this.list = byId("lots");
    this.rows = new Map();
    this.dirty = new Set();
    this.wanted = "";
    this.queued = false;
  }

  // Called after a page of lots came in: new rows take their place in the order of names.
  place(lots) {
    for (const lot of lots) {
      if (!this.rows.has(lot.code)) this.rows.set(lot.code, this.make(lot));
      this.touch(lot);
    }
    const order = [...this.rows.values()].sort((a, b) => byName.compare(a.lot.name, b.lot.name));
    order.forEach((row, at) => {
      if (this.list.children[at] !== row.item) this.list.insertBefore(row.item, this.list.children[at] || null);
    });
    this.filter(this.wanted);
  }

  make(lot) {
    const spark = document.createElementNS(SVG, "svg");
    const line = document.createElementNS(SVG, "path");
    spark.setAttribute("viewBox", "0 0 60 16");
    spark.setAttribute("preserveAspectRatio", "none");
    spark.setAttribute("aria-hidden", "true");
    spark.append(line);
    const name = h("span", { class: "name" }, lot.name);
    const free = h("b", { class: "free number" }, "–");
    const of = h("span", { class: "unseen" });
    const fill = h("i");
    const link = h("a", { href: `#lot=${encodeURIComponent(lot.code)}` }, name, free, of, h("span", { class: "bar", "aria-hidden": "true" }, fill), spark);
    const item = h("li", { "data-lot": lot.code }, link);
    return { lot, item, link, name, free, of, fill, line };
  }

  touch(lot) {
    this.dirty.add(lot.code);
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => this.paint());
  }

  paint() {
    this.queued = false;
    for (const code of this.dirty) {
      const row = this.rows.get(code);
      if (row) this.patch(row);
    }
    this.dirty.clear();
  }

  patch({ lot, name, free, of, fill, line }) {
    const share = fullness(lot.counts);
    put(name, lot.name);
    put(free, freeText(lot.counts));
    put(of, isKnown(lot.counts) ? t("lots.of", { capacity: lot.counts.capacity }) : t("sign.no_count"));
    fill.style.transform = `scaleX(${share ?? 0})`;
    const drawn = path(lot.history.spark, 60, 14, SPARK_POINTS);
    if (line.getAttribute("d") !== drawn) line.setAttribute("d", drawn);
  }

  filter(text) {
    this.wanted = text.trim().toLowerCase();
    let shown = 0;
    for (const { lot, item } of this.rows.values()) {
      const fits = !this.wanted || lot.name.toLowerCase().includes(this.wanted) || lot.code.toLowerCase().includes(this.wanted);
      item.hidden = !fits;
      if (fits) shown += 1;
    }
    return shown;
  }

  choose(code) {
    for (const [key, { link }] of this.rows) {
      if (key === code) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  // The first lot in sight; `drawable` prefers one that has slots to draw.
  first(drawable) {
    const shown = [...this.list.children].filter((item) => !item.hidden).map((item) => item.dataset.lot);
    return (drawable && shown.find((code) => this.rows.get(code).lot.slots > 0)) ?? shown[0] ?? null;
  }
}
