// The gates of a lot: the last scans with what the gate did and why, as they happen, and the gate worked by hand. By hand
// the server is first asked what it would do; nothing is done before somebody has said so. Absent: opening against the
// server's answer, which no gate of ours does.
import { request } from "./api.js";
import { isOwed, money, moment } from "./amounts.js";
import { kindOf, shown } from "./credential.js";
import { Listing, mark, named, switcher } from "./desk.js";
import { h, put, t } from "./dom.js";
import { paying } from "./money.js";
import { insist, newId } from "./patience.js";
import { Sheet } from "./sheet.js";
import { staySheet } from "./stays.js";

const { session, i18n } = window.lotkeeper;
const GATE = "lotkeeper.console.gate";
const INSIST_SECONDS = 20;
const SIGNS = { open: ["↑", "free"], deny: ["✕", "alarm"] };
const words = (group, code, values) => (i18n.has(`${group}.${code}`) ? t(`${group}.${code}`, values) : "");

// One car at a gate that somebody works by hand.
class Hand {
  constructor(panel) {
    this.panel = panel;
    this.direction = "entry";
    this.turn = 0;
    this.gate = h("input", { id: "hand-gate", value: session.device.get(GATE) ?? "", maxlength: "64", autocomplete: "off", size: "8" });
    this.text = h("input", { id: "hand-text", maxlength: "400", autocomplete: "off", spellcheck: "false" });
    this.hint = h("p", { class: "quiet hint" });
    this.answer = h("div", { class: "verdict", id: "verdict", role: "status" });
    const ways = switcher(t("scan.direction"), ["entry", "exit"].map((way) => [way, t(`scan.${way}`)]), "entry", (way) => { this.direction = way; this.clear(); this.text.focus(); });
    const form = h("form", { class: "hand-form" }, ways, h("label", { for: "hand-gate" }, t("scan.gate"), " ", this.gate), h("label", { for: "hand-text", class: "wide" }, t("scan.field"), " ", this.text), h("button", { class: "primary", id: "hand-check" }, t("gate_hand.check")));
    form.addEventListener("submit", (event) => { event.preventDefault(); this.check(); });
    this.text.addEventListener("input", () => this.clear());
    this.node = h("section", { class: "hand", "aria-labelledby": "hand-title" }, h("h3", { id: "hand-title" }, t("gate_hand.title")), form, this.hint, this.answer);
    this.clear();
  }

  clear() {
    this.turn += 1;
    this.answer.replaceChildren();
    delete this.answer.dataset.state;
    put(this.hint, t(this.direction === "entry" ? "gate_hand.hint_entry" : "gate_hand.hint_exit"));
  }

  body(further) {
    const text = this.text.value.trim();
    const gate = this.gate.value.trim();
    session.device.set(GATE, gate || null);
    return { lot: this.panel.lot.code, ...(gate && { gate }), direction: this.direction, credential: text ? { [kindOf(text)]: text } : {}, ...further };
  }

  // What would the gate do?
  async check() {
    if (!this.text.value.trim() && this.direction === "exit") { put(this.hint, t("gate_hand.what")); return this.text.focus(); }
    this.clear();
    const { turn } = this;
    const asked = this.body({});
    put(this.hint, t("scan.asking"));
    try {
      const { json } = await request("/scans", { method: "POST", body: { ...asked, dry_run: true } });
      if (turn === this.turn) this.judged(asked, json);
    } catch (problem) {
      if (turn === this.turn) this.failed(problem, () => this.check());
    }
  }

  verdict(json, final) {
    const values = { at: json.not_before ? moment(json.not_before, this.panel.lot.time_zone) : "", lot: this.panel.lot.name };
    const { text } = this;
    const name = json.session?.vehicle?.plate ?? json.ticket ?? (text.value.trim() ? shown(kindOf(text.value.trim()), text.value) : t("scan.ticket"));
    put(this.hint, "");
    this.answer.dataset.state = json.decision;
    this.answer.dataset.final = String(final);
    this.answer.replaceChildren(h("p", { class: "word" }, mark(...SIGNS[json.decision]), " ", t(final ? `scan.${json.decision}` : `gate_hand.would_${json.decision}`), " · ", h("b", { class: "number" }, name)),
      h("p", {}, [words("code", json.code, values) || (json.detail ?? json.code), isOwed(json.due) && money(json.due)].filter(Boolean).join(" ")), h("p", { class: "quiet" }, words("next", json.code, values)));
  }

  judged(asked, json) {
    this.verdict(json, false);
    const id = newId(); // of the one scan that may follow
    const button = (name, key, action, main) => h("button", { type: "button", "data-hand": name, class: main && "primary", onclick: action }, t(key));
    const stays = button("leave", "gate_hand.leave", () => { this.clear(); this.text.focus(); });
    const pays = json.code === "payment_required" && json.session ? paying(`/sessions/${json.session.id}`, json.due).map((one) => h("button", { type: "button", "data-hand": one.name, onclick: () => this.pay(one, id) }, one.label)) : [];
    const row = h("div", { class: "pair" }, ...(json.decision === "open" ? [button("open", "gate_hand.open", () => this.scan(asked, id), true), stays] : [...pays, button("deny", "gate_hand.deny", () => this.scan(asked, id)), stays]));
    this.answer.append(row);
    row.firstChild.focus();
  }

  async pay(action, id) {
    const { turn } = this;
    this.busy();
    try {
      await insist(() => action.act({ shift: session.device.get("lotkeeper.console.shift") ?? "" }, id), { seconds: INSIST_SECONDS });
      if (turn === this.turn) this.check();
    } catch (problem) { if (turn === this.turn) this.failed(problem, () => this.pay(action, id)); }
  }

  // Now it counts, however often it is sent.
  async scan(asked, id) {
    const { turn } = this;
    this.busy();
    try {
      const { json } = await insist(() => request("/scans", { method: "POST", body: { ...asked, id } }), { seconds: INSIST_SECONDS, givenUp: () => turn !== this.turn });
      if (turn !== this.turn) return;
      this.verdict(json, true);
      this.text.value = "";
      this.text.focus();
    } catch (problem) { if (turn === this.turn) this.failed(problem, () => this.scan(asked, id)); }
  }

  busy() { this.answer.querySelectorAll("button").forEach((button) => { button.disabled = true; }); }

  failed(problem, again) {
    if (problem.status === 401) return this.panel.desk.onRefused();
    put(this.hint, "");
    this.answer.dataset.state = "problem";
    this.answer.replaceChildren(h("p", { class: "problem" }, problem.message), h("button", { type: "button", "data-hand": "again", onclick: again }, t("scan.again")));
  }
}

export class Panel {
  constructor(desk) {
    this.desk = desk;
    this.decision = "";
    this.sheet = new Sheet();
    this.hand = new Hand(this);
    const choose = switcher(t("gates.which"), [["", t("console.all")], ["open", t("gates.opened")], ["deny", t("gates.denied")]], "", (decision) => { this.decision = decision; this.listing.fresh(); });
    this.listing = new Listing({
      label: t("gates.last"), key: (scan) => String(scan.seq), row: (scan) => this.row(scan), zone: () => this.lot.time_zone,
      path: () => `/scans?${new URLSearchParams({ lot: this.lot.code, ...(this.decision && { decision: this.decision }) })}`,
      opens: (scan) => !!scan.session, onOpen: (scan, opener) => this.sheet.show(() => staySheet(scan.session, { lot: this.lot, slots: desk.slots }), opener), empty: () => t("gates.none"),
    });
    this.node = h("div", { class: "panel-work", "data-panel": "gates" }, this.hand.node, h("h3", {}, t("gates.last")), h("div", { class: "tools" }, choose), this.listing.node);
  }

  row(scan) {
    const { decision, code, due } = scan;
    const why = words("code", code, { at: scan.not_before ? moment(scan.not_before, this.lot.time_zone) : "", lot: this.lot.name }) || code;
    return [mark(...(SIGNS[decision] ?? ["?", "quiet"])), h("span", {}, h("b", { "data-decision": decision }, t(`scan.${decision}`)), " · ", h("b", { class: "number" }, scan.vehicle?.plate ?? scan.ticket ?? t("gates.unknown"))),
      h("span", { class: "sum number" }, isOwed(due) ? money(due) : ""), h("span", { class: "more-of" }, [named("scan", scan.direction), scan.gate, why].filter(Boolean).join(" · ")), h("time", { class: "sum quiet number", datetime: scan.at }, moment(scan.at, this.lot.time_zone))];
  }

  show(lot) {
    if (lot !== this.lot) { this.hand.text.value = ""; this.hand.clear(); }
    this.lot = lot;
    this.listing.fresh();
  }

  leave() { this.listing.leave(); this.sheet.close(); }
  concerns(type) { return ["session.entered", "session.left", "scan.denied"].includes(type); }
  refresh() { this.listing.load(); this.sheet.touch(); }
}
