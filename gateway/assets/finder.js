// The list of lots: near, in a city, or by name, each with its price and its free places for the chosen stay. A position
// is asked for with a tap only and goes to this server only. Absent: a map.
import { request } from "./api.js";
import { byId, h, put, t } from "./dom.js";
import { quote } from "./quotes.js";
const { i18n } = window.lotkeeper;

const ROWS = 8;
const TYPED_MS = 350;
const RADIUS_KM = 50;
const EARTH_KM = 6371;
const DEGREE = Math.PI / 180;

export function kilometres(a, b) {
  const half = (from, to) => Math.sin(((to - from) * DEGREE) / 2) ** 2;
  const arc = half(a.lat, b.lat) + Math.cos(a.lat * DEGREE) * Math.cos(b.lat * DEGREE) * half(a.lon, b.lon);
  return 2 * EARTH_KM * Math.asin(Math.sqrt(arc));
}

export class Finder {
  constructor(desk, stay) {
    Object.assign(this, { desk, stay, here: null, items: [], shown: ROWS, cursor: null, query: "", chosen: null, turn: 0 });
    byId("place-form").addEventListener("submit", (event) => { event.preventDefault(); this.load(); });
    byId("place").addEventListener("input", () => { clearTimeout(this.timer); this.timer = setTimeout(() => this.load(), TYPED_MS); });
    byId("more").addEventListener("click", () => this.more());
    byId("near").hidden = !navigator.geolocation || !window.isSecureContext;
    byId("near").addEventListener("click", () => (this.here ? this.anywhere() : this.locate()));
  }

  // Who has tapped before and still allows it need not tap again; a browser may ask others where it is, so never unasked.
  begin() {
    if (this.desk.remembered("near")) navigator.permissions?.query({ name: "geolocation" }).then((answer) => answer.state === "granted" && this.locate(), () => {});
    this.load();
  }

  locate() {
    put(byId("find-note"), t("book.locating"));
    byId("find-note").hidden = false;
    navigator.geolocation.getCurrentPosition(({ coords }) => {
      this.here = { lat: coords.latitude, lon: coords.longitude };
      byId("near").setAttribute("aria-pressed", "true");
      this.desk.remember("near", "yes");
      this.load();
    }, () => put(byId("find-note"), t("book.no_position")), { timeout: 10000, maximumAge: 60000 });
  }

  anywhere() {
    this.here = null;
    byId("near").setAttribute("aria-pressed", "false");
    this.desk.remember("near", null);
    this.load();
  }

  async load() {
    const turn = ++this.turn;
    const text = byId("place").value.trim();
    const near = this.here ? `near=${this.here.lat.toFixed(5)},${this.here.lon.toFixed(5)}&radius_km=${RADIUS_KM}&` : "";
    try {
      this.query = text ? `city=${encodeURIComponent(text)}&` : near;
      const { json } = await request(`/lots?${this.query}limit=50`);
      if (turn !== this.turn) return;
      let items = json.items;
      this.desk.learn(items);
      if (text) items = this.named(text, items);
      Object.assign(this, { items, cursor: json.next_cursor ?? null, shown: ROWS });
      this.desk.recovered();
      put(byId("find-note"), items.length ? "" : text ? t("book.none_there", { text }) : near ? t("book.none_near", { km: RADIUS_KM }) : t("book.no_lots"));
    } catch (problem) {
      if (turn !== this.turn || this.desk.refused(problem)) return;
      put(byId("find-note"), problem.message);
      if (problem.status === 0) { this.desk.banner(t("error.unreachable")); setTimeout(() => turn === this.turn && this.load(), 4000); }
    }
    byId("find-note").hidden = !byId("find-note").textContent;
    this.draw();
  }

  // A city first, then whatever of the lots seen so far is called so.
  named(text, items) {
    const wanted = text.toLowerCase();
    const codes = new Set(items.map((lot) => lot.code));
    const others = [...this.desk.lots.values()].filter((lot) => !codes.has(lot.code) && `${lot.name} ${lot.city ?? ""}`.toLowerCase().includes(wanted));
    return [...items, ...others];
  }

  async more() {
    this.shown += ROWS;
    if (this.shown > this.items.length && this.cursor) {
      const { json } = await request(`/lots?${this.query}limit=50&cursor=${encodeURIComponent(this.cursor)}`).catch(() => ({ json: { items: [] } }));
      this.desk.learn(json.items);
      this.items.push(...json.items);
      this.cursor = json.next_cursor ?? null;
    }
    this.draw();
  }

  distance(lot) {
    const km = this.here && lot.position ? kilometres(this.here, lot.position) : lot.distance_km;
    if (km === undefined || km === null) return "";
    const unit = km < 1 ? { unit: "meter", value: Math.round(km * 100) * 10 } : { unit: "kilometer", value: km };
    return new Intl.NumberFormat(i18n.lang, { style: "unit", unit: unit.unit, maximumFractionDigits: km < 10 && km >= 1 ? 1 : 0 }).format(unit.value);
  }

  draw() {
    this.rows = new Map();
    byId("lots").replaceChildren(...this.items.slice(0, this.shown).map((lot) => {
      const price = h("span", { class: "price number" }, "…");
      const free = h("span", { class: "free number" }, "");
      const where = [lot.street, lot.city, this.distance(lot)].filter(Boolean).join(" · ");
      const link = h("a", { href: `#lot=${encodeURIComponent(lot.code)}`, "data-lot": lot.code }, h("span", { class: "name" }, lot.name), price, h("span", { class: "where" }, where), free);
      this.rows.set(lot.code, { link, price, free });
      return h("li", {}, link);
    }));
    byId("more").hidden = this.shown >= this.items.length && !this.cursor;
    this.choose(this.chosen);
    this.price();
  }

  choose(code) {
    this.chosen = code ?? null;
    for (const [one, { link }] of this.rows ?? []) if (one === code) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
  }

  price() {
    if (!this.stay.good) return;
    const window = this.stay.window;
    for (const [code, row] of this.rows ?? []) {
      quote(code, window).then((answer) => {
        if (this.stay.window.from !== window.from || this.stay.window.to !== window.to) return;
        put(row.price, this.desk.price(answer.price));
        put(row.free, answer.free ? t("book.free", { n: answer.free }) : t("book.full"));
        row.link.toggleAttribute("data-full", !answer.free);
      }, (problem) => { put(row.price, "–"); put(row.free, problem.status === 0 ? "" : t("book.not_bookable")); });
    }
  }
}
