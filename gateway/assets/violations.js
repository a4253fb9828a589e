// What is wrong in a lot: found by the engine or reported, told, appealed against, and closed by staff.
import { request } from "./api.js";
import { money, moment } from "./amounts.js";
import { Listing, mark, named, switcher } from "./desk.js";
import { ago, h, t } from "./dom.js";
import { CODE, paying, paymentRows, paymentsOf, refunding } from "./money.js";
import { reporting } from "./report.js";
import { Sheet } from "./sheet.js";

const FILTERS = { open: "open,notified", appealed: "appealed", closed: "paid,waived,resolved" };
const MARKS = { open: ["!", "alarm"], notified: ["✉", "held"], appealed: ["?", "held"], paid: ["✓", "free"], waived: ["–", "quiet"], resolved: ["✓", "quiet"] };
const REASONS = ["first_time", "mistaken", "vehicle_gone", "settled_on_site", "told_in_person"];
const path = (id) => `/violations/${id}`;
const isOpen = (one) => ["open", "notified", "appealed"].includes(one.state);
const who = (one) => [one.vehicle?.plate, one.slot].filter(Boolean).join(" · ");

export async function violationSheet(id, { lot }) {
  const [{ json: one }, payments] = await Promise.all([request(path(id)), paymentsOf(path(id))]);
  return { title: named("violation", one.kind), facts: facts(one, lot, payments), actions: actions(one, lot, payments) };
}

function shown({ kind, reference }) {
  const text = `${kind}: ${reference}`;
  return h("div", {}, reference.startsWith("https://") ? h("a", { href: reference, rel: "noreferrer noopener", target: "_blank" }, text) : text);
}

function facts(one, lot, payments) {
  const rows = [
    ["state", [named("violation_state", one.state), one.reason].filter(Boolean).join(" · ")], ["severity", named("severity", one.severity)], ["plate", one.vehicle?.plate], ["slot", one.slot],
    ["since", `${moment(one.since, lot.time_zone)} · ${ago(one.since)}`], ["found", t(one.detected ? "violation.by_engine" : "violation.by_report")], ["penalty", one.penalty && money(one.penalty)],
    ["notices", String(one.notices)], ["evidence", one.evidence?.length > 0 && h("div", {}, ...one.evidence.map(shown))], ["payments", payments.length > 0 && h("div", {}, ...paymentRows(payments))],
  ];
  return h("dl", { class: "facts number" }, ...rows.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, t(`violation.fact_${name}`)), h("dd", { "data-fact": name }, value)]));
}

function actions(one, lot, payments) {
  const reason = { name: "reason", label: t("violation.reason"), pattern: CODE, hint: t("desk.code_hint"), hints: REASONS, max: 64 };
  const move = (name, fields) => ({
    name, label: t(`violation.${name}`), ask: t(`violation.${name}_ask`), fields,
    act: (values, id) => request(`${path(one.id)}/${name}`, { method: "POST", body: values.reason ? { reason: values.reason } : {}, headers: { "Idempotency-Key": id } }),
  });
  if (!isOpen(one)) return [{ name: "over", why: t("violation.is_over", { state: named("violation_state", one.state) }) }, ...refunding(payments)];
  const appealed = one.state === "appealed";
  const owed = (one.session || one.vehicle) && !appealed ? paying(path(one.id), one.penalty) : [];
  return [...owed, appealed ? { name: "notify", why: t("violation.no_notice") } : move("notify"), appealed ? null : move("appeal", [reason]), move("waive", [reason]), move("resolve", [reason]), ...refunding(payments)].filter(Boolean);
}

export class Panel {
  constructor(desk) {
    this.desk = desk;
    this.filter = "open";
    this.sheet = new Sheet();
    const report = h("button", { type: "button", id: "report", onclick: (event) => this.report(event.currentTarget) }, t("violation.report"));
    const choose = switcher(t("field.status"), Object.keys(FILTERS).map((name) => [name, t(`violation.filter_${name}`)]), this.filter, (name) => { this.filter = name; this.listing.fresh(); });
    this.listing = new Listing({
      label: t("tab.violations"), key: (one) => one.id, row: (one) => this.row(one), zone: () => this.lot.time_zone, onOpen: (one, opener) => this.open(one.id, opener),
      path: () => `/violations?${new URLSearchParams({ lot: this.lot.code, state: FILTERS[this.filter] })}`, empty: () => t(`violation.none_${this.filter}`),
    });
    this.node = h("div", { class: "panel-work", "data-panel": "violations" }, h("div", { class: "tools" }, choose, report), this.listing.node);
  }

  row(one) {
    return [mark(...(MARKS[one.state] ?? ["?", "quiet"])), h("b", {}, named("violation", one.kind)), h("span", { class: "sum number" }, one.penalty ? money(one.penalty) : ""),
      h("span", { class: "more-of" }, [named("violation_state", one.state), who(one), t("stay.since", { at: moment(one.since, this.lot.time_zone) })].filter(Boolean).join(" · ")),
      h("span", { class: "sum quiet" }, named("severity", one.severity))];
  }

  open(id, opener) { this.sheet.show(() => violationSheet(id, { lot: this.lot }), opener); }

  report(opener) {
    const after = ({ json }) => () => violationSheet(json.id, { lot: this.lot });
    this.sheet.show(async () => ({ title: t("violation.report"), facts: [], actions: [{ ...reporting(this.lot, {}), only: true, next: after }] }), opener, "report");
  }

  show(lot) {
    this.lot = lot;
    this.listing.fresh();
  }

  leave() { this.listing.leave(); this.sheet.close(); }
  concerns(type) { return type.startsWith("violation.") || type.startsWith("payment."); }
  refresh() { this.listing.load(); this.sheet.touch(); }
}
