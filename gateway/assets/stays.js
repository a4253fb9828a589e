// Who is inside: found by plate or ticket, with the fee so far, and put right by staff. Stays that are over are found as
// well. Absent: passes, bookings.
import { request } from "./api.js";
import { feeTable, isOwed, money, moment, span } from "./amounts.js";
import { kindOf } from "./credential.js";
import { Listing, mark, named, switcher } from "./desk.js";
import { WORDS_MAX, ago, h, t } from "./dom.js";
import { paying, paymentRows, paymentsOf, refunding } from "./money.js";
import { reporting } from "./report.js";
import { Sheet } from "./sheet.js";

const FILTERS = { inside: "inside,overstaying", overstaying: "overstaying", over: "left,abandoned" };
const MARKS = { inside: ["■", "occupied"], overstaying: ["!", "alarm"], left: ["→", "quiet"], abandoned: ["?", "quiet"] };
const CONCERN = ["session.", "payment.", "violation.", "reservation.checked_in", "ledger.posted"];
const path = (id) => `/sessions/${id}`;
const isInside = (stay) => stay.state === "inside" || stay.state === "overstaying";

// What staff see of a stay, wherever it is opened.
export async function staySheet(id, { lot, slots }) {
  const [{ json: stay, etag }, payments, penalties] = await Promise.all([request(path(id)), paymentsOf(path(id)), penaltiesOf(id)]);
  return { title: stay.vehicle?.plate ?? stay.reference, facts: [facts(stay, lot, { payments, penalties }), ...fee(stay)], actions: actions(stay, { lot, slots, etag, payments }) };
}

// What stands between the fee and what is to be paid. Those that the lot has closed and forgotten are not among them.
const penaltiesOf = async (id) => (await request(`/violations?session=${id}&limit=500`).catch(() => ({ json: { items: [] } }))).json.items;

const penaltyRows = (penalties) => penalties.map((one) => h("div", { "data-penalty": one.state }, [isOwed(one.penalty) && money(one.penalty), named("violation", one.kind), named("violation_state", one.state)].filter(Boolean).join(" · ")));

function facts(stay, lot, { payments, penalties }) {
  const time = (at) => at && `${moment(at, lot.time_zone)} · ${ago(at)}`;
  const rows = [
    ["state", named("stay", stay.state)], ["plate", [stay.vehicle?.plate, stay.vehicle?.country].filter(Boolean).join(" · ")],
    ["ticket", [stay.reference, stay.ticket_lost && t("stay.ticket_lost")].filter(Boolean).join(" · ")], ["origin", named("origin", stay.origin)], ["slot", stay.slot],
    ["request", stay.request],
    ["entered", [time(stay.entered_at), stay.entry_gate].filter(Boolean).join(" · ")], ["until", stay.expected_exit && isInside(stay) && moment(stay.expected_exit, lot.time_zone)],
    ["left", [time(stay.left_at), stay.exit_gate].filter(Boolean).join(" · ")], ["leave_by", stay.leave_by && isInside(stay) && moment(stay.leave_by, lot.time_zone)],
    ["penalties", penalties.length > 0 && h("div", {}, ...penaltyRows(penalties))],
    ["due", isOwed(stay.due) ? money(stay.due) : t("stay.nothing_due")], ["payments", payments.length > 0 && h("div", {}, ...paymentRows(payments))],
  ];
  return h("dl", { class: "facts number" }, ...rows.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, t(`stay.fact_${name}`)), h("dd", { "data-fact": name }, value)]));
}

function fee(stay) {
  const known = stay.fee ?? stay.fee_so_far;
  return known ? [h("h3", {}, t(stay.fee ? "stay.fee" : "stay.fee_so_far")), feeTable(known)] : [];
}

function actions(stay, { lot, slots, etag, payments }) {
  const patch = (body) => (values, id) => request(path(stay.id), { method: "PATCH", body: body(values), headers: { "Idempotency-Key": id, ...(etag && { "If-Match": etag }) } });
  const who = stay.vehicle?.plate ?? stay.reference;
  const open = [...slots().values()].filter((slot) => slot.status === "free").map((slot) => slot.slot);
  const inside = [
    slots().size ? { name: "move", label: t("stay.move"), ask: t("stay.move_ask", { who }), fields: [{ name: "slot", label: t("field.slot"), required: true, hints: open, max: 64 }], act: patch((values) => ({ slot: values.slot.trim() })) } : null,
    { name: "correct", label: t("stay.correct"), ask: t("stay.correct_ask", { who }),
      fields: [{ name: "plate", label: t("scan.plate"), value: stay.vehicle?.plate, required: true, max: 20 }, { name: "country", label: t("stay.country"), value: stay.vehicle?.country, pattern: "[A-Za-z]{1,3}", max: 3 }],
      act: patch((values) => ({ vehicle: { plate: values.plate.trim(), ...(values.country && { country: values.country.toUpperCase() }) } })) },
    { name: "request", label: t("stay.request"), ask: t("stay.request_ask", { who }), fields: [{ name: "text", label: t("stay.fact_request"), value: stay.request, max: WORDS_MAX }], act: patch((values) => ({ request: values.text.trim() || null })) },
    stay.ticket_lost ? null : { name: "lost", label: t("stay.lost"), ask: t("stay.lost_ask"), act: patch(() => ({ ticket_lost: true })) },
    { name: "end", label: t("stay.end"), ask: t("stay.end_ask", { who }), act: (_, id) => request(`${path(stay.id)}/exit`, { method: "POST", body: {}, headers: { "Idempotency-Key": id } }) },
  ];
  const over = [{ name: "over", why: t("stay.is_over") }];
  return [...paying(path(stay.id), stay.due), ...(isInside(stay) ? inside : over), reporting(lot, { session: stay.id, slot: stay.slot, vehicle: stay.vehicle }), ...refunding(payments)].filter(Boolean);
}

export class Panel {
  constructor(desk) {
    this.desk = desk;
    this.filter = "inside";
    this.text = "";
    this.sheet = new Sheet();
    this.field = h("input", { id: "stay-search", type: "search", autocomplete: "off", spellcheck: "false", placeholder: t("stay.search") });
    const form = h("form", { role: "search", class: "search" }, h("label", { class: "unseen", for: "stay-search" }, t("stay.search")), this.field, h("button", {}, t("stay.find")));
    form.addEventListener("submit", (event) => { event.preventDefault(); this.look(this.field.value.trim()); });
    this.field.addEventListener("search", () => !this.field.value && this.text && this.look(""));
    this.switch = switcher(t("field.status"), Object.keys(FILTERS).map((name) => [name, t(`stay.filter_${name}`)]), this.filter, (name) => { this.filter = name; this.field.value = ""; this.look(""); });
    this.listing = new Listing({
      label: t("tab.stays"), key: (stay) => stay.id, row: (stay) => this.row(stay), path: () => this.path(), zone: () => this.lot.time_zone,
      onOpen: (stay, opener) => this.open(stay.id, opener), empty: () => (this.text ? t("stay.none_found", { text: this.text }) : t(`stay.none_${this.filter}`)),
    });
    this.node = h("div", { class: "panel-work", "data-panel": "stays" }, h("div", { class: "tools" }, this.switch, form), this.listing.node);
  }

  // A plate or ticket is looked for in all states, the past included.
  path() {
    const question = new URLSearchParams({ lot: this.lot.code });
    if (!this.text) question.set("state", FILTERS[this.filter]);
    else question.set(kindOf(this.text) === "ticket" ? "ticket" : "plate", this.text);
    return `/sessions?${question}`;
  }

  look(text) {
    this.text = text;
    this.switch.press(text ? null : this.filter);
    this.listing.fresh();
  }

  row(stay) {
    const zone = this.lot.time_zone;
    const when = stay.left_at ? span(stay.entered_at, stay.left_at, zone) : [t("stay.since", { at: moment(stay.entered_at, zone) }), stay.expected_exit && t("stay.until", { at: moment(stay.expected_exit, zone) })].filter(Boolean).join(" · ");
    const cost = stay.fee ?? stay.fee_so_far;
    const due = isOwed(stay.due) ? t("stay.due", { due: money(stay.due) }) : "";
    return [mark(...(MARKS[stay.state] ?? ["■", "quiet"])), h("b", { class: "number" }, stay.vehicle?.plate ?? stay.reference), h("span", { class: "sum number" }, cost ? money(cost.total) : ""),
      h("span", { class: "more-of" }, [named("stay", stay.state), stay.slot, when].filter(Boolean).join(" · ")), h("span", { class: "sum quiet number" }, due)];
  }

  open(id, opener) { this.sheet.show(() => staySheet(id, { lot: this.lot, slots: this.desk.slots }), opener); }

  show(lot) {
    this.lot = lot;
    this.listing.fresh();
  }

  leave() { this.listing.leave(); this.sheet.close(); }
  concerns(type) { return CONCERN.some((start) => type.startsWith(start)); }
  refresh() { this.listing.load(); this.sheet.touch(); }
}
