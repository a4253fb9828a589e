// What gates, stays and violations of a lot have in common: who may see them, and a list that follows the stream.
// Invariants: a list shows what the server answered last and says when that was; rows keep their place and the focus
// while they change. Absent: deltas of its own; the stream only says that it is time to ask again.
import { Problem, request } from "./api.js";
import { clock, h, put, roving, t } from "./dom.js";

const MAY_ACT = ["admin", "operator", "staff"];
const GATHER_MS = 400; // a busy gate is not asked for more often than this
const AGAIN_MS = 3000; // after a question without an answer
const POLL_MS = 30000; // fees grow while nothing happens
const PORTION = 50;
const PORTIONS_MAX = 500; // items of the largest page

// A sign of its own for each state: tone, glyph and word, so that colour never speaks alone.
export const mark = (glyph, tone) => h("span", { class: "mark", "data-tone": tone, "aria-hidden": "true" }, glyph);

// Texts of a closed vocabulary; a code that a later server knows is shown as it is.
export const named = (group, code) => (window.lotkeeper.i18n.has(`${group}.${code}`) ? t(`${group}.${code}`) : code);

export function switcher(label, pairs, now, onChange) {
  const buttons = pairs.map(([value, text]) => h("button", { type: "button", "data-value": value, "aria-pressed": String(value === now), onclick: () => { press(value); onChange(value); } }, text));
  const press = (value) => buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.value === value)));
  return Object.assign(h("div", { class: "switch", role: "group", "aria-label": label }, ...buttons), { press });
}

// `path()` is what to ask for (null: nothing), `row(item)` what is seen of an item, `onOpen` makes rows buttons.
export class Listing {
  constructor({ label, path, key, row, opens = () => true, onOpen, empty, zone }) {
    Object.assign(this, { path, key, row, opens, onOpen, empty, zone, turn: 0, rows: new Map(), wanted: PORTION, at: null });
    this.note = h("p", { class: "note", role: "status" });
    this.list = h("ol", { class: "rows", "aria-label": label });
    this.more = h("button", { type: "button", class: "more", hidden: true, onclick: () => { this.wanted += PORTION; this.load(); } }, t("desk.more"));
    this.node = h("div", { class: "listing" }, this.note, this.list, this.more);
    this.rove = roving(this.list, "button", { step: (key, _, all, at) => ({ ArrowDown: all[at + 1], ArrowUp: all[at - 1], Home: all[0], End: all[all.length - 1] })[key] });
  }

  // Other questions begin with an empty list; the same question keeps what is there until the answer comes.
  fresh() {
    this.wanted = PORTION;
    this.at = null;
    this.rows.clear();
    this.list.replaceChildren();
    this.more.hidden = true;
    return this.load();
  }

  leave() { this.turn += 1; clearTimeout(this.timer); }

  async load() {
    this.leave();
    const { turn } = this;
    if (this.at === null) this.say(t("console.loading"));
    try {
      const items = await this.ask(turn);
      if (turn !== this.turn) return;
      this.at = Date.now();
      this.list.toggleAttribute("data-stale", false);
      this.draw(items);
      this.say(items.length ? "" : this.empty());
      this.timer = setTimeout(() => this.load(), POLL_MS);
    } catch (problem) {
      if (turn !== this.turn) return;
      this.failed(problem);
    }
  }

  // A page may be short because the server looked at enough for one request.
  async ask(turn) {
    const items = [];
    let cursor = null;
    do {
      const limit = Math.min(this.wanted - items.length, PORTIONS_MAX);
      const path = this.path();
      const { json } = await request(`${path}${path.includes("?") ? "&" : "?"}limit=${limit}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
      items.push(...json.items);
      cursor = json.next_cursor ?? null;
    } while (cursor && items.length < this.wanted && turn === this.turn);
    this.more.hidden = !cursor;
    return items;
  }

  failed(problem) {
    this.list.toggleAttribute("data-stale", true);
    if (problem.status === 401) return this.onRefused?.();
    if (problem.status === 403) { this.list.replaceChildren(); this.rows.clear(); }
    this.say(this.at && problem.status !== 403 ? `${problem.message} ${t("desk.stale", { at: clock(this.at, this.zone()) })}` : problem.message, true);
    if (!(problem instanceof Problem) || problem.status === 0 || problem.status >= 500) this.timer = setTimeout(() => this.load(), AGAIN_MS);
  }

  say(text, wrong) {
    this.note.hidden = !text;
    this.note.classList.toggle("problem", !!wrong);
    put(this.note, text);
  }

  draw(items) {
    const keep = new Set();
    items.forEach((item, at) => {
      const key = this.key(item);
      keep.add(key);
      const text = JSON.stringify(item);
      let row = this.rows.get(key);
      if (!row) this.rows.set(key, (row = this.make(item)));
      if (row.text !== text) { row.item = item; row.text = text; row.inner.replaceChildren(...this.row(item).filter(Boolean)); }
      if (this.list.children[at] !== row.node) this.list.insertBefore(row.node, this.list.children[at] ?? null);
    });
    for (const [key, row] of this.rows) {
      if (keep.has(key)) continue;
      if (row.node.contains(document.activeElement)) this.rove.choose(this.list.querySelector("button"), true);
      row.node.remove();
      this.rows.delete(key);
    }
    this.rove.ensure();
  }

  make(item) {
    const row = { item };
    row.inner = this.opens(item) ? h("button", { type: "button", tabindex: "-1", onclick: (event) => this.onOpen(row.item, event.currentTarget) }) : h("p");
    row.node = h("li", { "data-key": this.key(item) }, row.inner);
    return row;
  }
}

export class Desk {
  constructor(work, { roleOf, slots, onRefused }) {
    Object.assign(this, { work, roleOf, slots, onRefused, made: new Map(), panel: null });
  }

  async show(name, lot) {
    const role = this.roleOf();
    if (role && !MAY_ACT.includes(role)) return this.work.replaceChildren(h("p", { class: "note" }, t("desk.role", { role: named("role", role) })));
    if (!this.made.has(name)) {
      const { Panel } = await import(`./${name}.js`);
      this.made.set(name, new Panel(this));
    }
    this.leave();
    this.panel = this.made.get(name);
    this.lot = lot;
    this.work.setAttribute("aria-label", t(`tab.${name}`));
    this.work.replaceChildren(this.panel.node);
    this.panel.listing.onRefused = this.onRefused;
    this.panel.show(lot);
  }

  leave() {
    clearTimeout(this.soon);
    this.soon = null;
    this.panel?.leave();
    this.panel = null;
  }

  changes(changes) {
    if (this.panel && changes.some(({ type }) => this.panel.concerns(type))) this.refresh();
  }

  refresh() {
    if (!this.panel || this.soon) return;
    this.soon = setTimeout(() => { this.soon = null; this.panel?.refresh(); }, GATHER_MS);
  }
}
