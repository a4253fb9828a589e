// One booking: the hold with its countdown, then the code for the gate with what can still be done. Remaining time is
// counted from the server's clock, because this device's may be wrong. Absent: changing plate or place.
import { request } from "./api.js";
import { feeTable, isOwed, moment, money, span } from "./amounts.js";
import { h, put, t, words } from "./dom.js";
import { insist, newId } from "./patience.js";
import { drawPicture } from "./picture.js";
import { quote } from "./quotes.js";

const { i18n } = window.lotkeeper;
const INSIST_SECONDS = 20;
const WARN_SECONDS = 60;
const LONGER_MINUTES = [30, 60, 120];
const LOST = ["hold_expired", "reservation_ended", "slot_taken", "no_slot_free"];
const OVER = ["completed", "cancelled", "expired", "no_show"];
const seen = ({ state, slot, from, to, payment, request }) => JSON.stringify([state, slot, from, to, payment, request]);
const path = (id, rest = "") => `/reservations/${encodeURIComponent(id)}${rest}`;

export class Booking {
  constructor(desk, { onChange, onLost }) {
    Object.assign(this, { desk, onChange, onLost, turn: 0, timer: null });
  }

  leave() { this.turn += 1; this.shown = null; clearInterval(this.timer); }

  // It happened elsewhere: at a gate, at the desk, by the clock. What a person is at is left alone where nothing that
  // he sees has changed.
  told(booking) {
    const before = this.shown;
    if (before?.booking.id !== booking.id || before.booking.version >= booking.version) return;
    const { lot } = before;
    this.etag = `"${booking.version}"`;
    before.booking = { ...booking };
    if (seen(booking) === before.seen) return;
    if (before.state === "held" && booking.state === "expired") return this.gone(booking, lot, t("book.lost_expired"));
    this.draw(booking, this.etag, lot);
  }

  async show(id, good) {
    this.leave();
    const turn = this.turn;
    this.desk.panel(t("book.booking"), h("p", { class: "quiet" }, t("console.loading")));
    try {
      const { json, etag } = await request(path(id));
      const lot = await this.desk.lot(json.lot);
      if (turn === this.turn) this.draw(json, etag, lot, good);
    } catch (problem) {
      if (turn === this.turn) this.desk.problem(t("book.booking"), problem, () => this.show(id));
    }
  }

  draw(booking, etag, lot, good) {
    clearInterval(this.timer);
    this.etag = etag;
    this.shown = { booking, lot, state: booking.state, seen: seen(booking) };
    if (booking.state === "held") this.held(booking, lot);
    else if (OVER.includes(booking.state)) this.over(booking, lot);
    else this.pass(booking, lot, good);
  }

  facts(booking, lot) {
    const rows = [["lot", [lot.name, lot.city].filter(Boolean).join(" · ")], ["slot", booking.slot], ["when", span(booking.from, booking.to, lot.time_zone)], ["reference", booking.reference], ["request", booking.request]];
    return h("dl", { class: "facts" }, ...rows.filter(([, value]) => value).flatMap(([key, value]) => [h("dt", {}, t(`book.fact_${key}`)), h("dd", { class: "number", "data-fact": key }, value)]));
  }

  // ---- the hold
  held(booking, lot) {
    const total = (new Date(booking.expires_at) - new Date(booking.created_at)) / 1000;
    // A hold just made says what time the server has; one found again is counted by the device's clock.
    const fresh = Math.abs(Date.now() - new Date(booking.updated_at)) < 30000;
    const began = performance.now();
    const first = (new Date(booking.expires_at) - (fresh ? new Date(booking.updated_at) : Date.now())) / 1000;
    const clock = h("span", { id: "countdown" }, "");
    const bar = h("i");
    const confirm = h("button", { type: "button", class: "primary big", id: "confirm", onclick: () => this.confirm(booking, lot, confirm) }, t("book.confirm"));
    this.desk.panel(t("book.held"), h("p", { class: "countdown number" }, clock, h("small", {}, t("book.held_text"))), h("div", { class: "left", "aria-hidden": "true" }, bar),
      confirm, h("p", { id: "confirm-problem", class: "problem", role: "alert" }), this.facts(booking, lot), booking.price && feeTable(booking.price),
      h("button", { type: "button", onclick: () => this.cancel(booking, "changed_mind") }, t("book.give_back")));
    let before = Infinity;
    const tick = () => {
      const left = Math.max(0, Math.ceil(first - (performance.now() - began) / 1000));
      put(clock, `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`);
      bar.style.transform = `scaleX(${total > 0 ? Math.min(1, left / total) : 0})`;
      if (left <= WARN_SECONDS && before > WARN_SECONDS && left) this.desk.say(t("book.minute_left", { s: left }));
      before = left;
      if (!left) this.gone(booking, lot, t("book.lost_expired"));
    };
    tick();
    if (before) this.timer = setInterval(tick, 500);
    this.desk.say(t("book.held"));
  }

  async confirm(booking, lot, button) {
    button.disabled = true;
    put(button, t("book.confirming"));
    const turn = this.turn;
    try {
      await insist(() => request(path(booking.id, "/confirm"), { method: "POST" }), { seconds: INSIST_SECONDS, givenUp: () => turn !== this.turn });
      this.onChange(booking.lot);
      if (turn === this.turn) await this.show(booking.id, t("book.confirmed"));
    } catch (problem) {
      if (this.desk.refused(problem) || turn !== this.turn) return;
      if (LOST.includes(problem.code)) return this.gone(booking, lot, t("book.lost_expired"));
      button.disabled = false;
      put(button, t("book.confirm"));
      put(document.getElementById("confirm-problem"), problem.message);
    }
  }

  gone(booking, lot, why) {
    this.leave();
    this.onChange(booking.lot);
    this.onLost({ lot, why });
  }

  // ---- the code for the gate
  pass(booking, lot, good) {
    const turn = this.turn;
    const canvas = h("canvas", { class: "qr", id: "qr", role: "img", "aria-label": t("book.qr_picture"), hidden: true });
    const note = h("p", { class: "problem", role: "alert" });
    const owed = booking.payment?.due;
    const price = booking.price && h("p", { class: "span number" }, isOwed(owed) ? t("book.to_pay", { due: money(owed) }) : t("book.costs", { price: money(booking.price.total) }));
    const acts = h("div", { class: "acts" });
    this.desk.panel(t(`book.pass_${booking.state}`), good && this.desk.notice(good, "good"),
      h("div", { class: "pass" }, canvas, note, booking.vehicle && h("p", { class: "plate number", id: "pass-plate" }, booking.vehicle.plate), h("p", { class: "quiet" }, t("book.pass_text"))),
      this.facts(booking, lot), price, this.directions(lot), acts, this.asking(booking), this.gateless(booking, lot));
    this.acts(booking, lot, acts);
    drawPicture(canvas, path(booking.id, "/qr?format=png")).catch((problem) => { if (turn === this.turn) put(note, `${t("book.no_picture")} ${problem.message}`); });
    if (good) this.desk.say(good);
  }

  // What he asks for in his own words; nothing any more where he takes them all out.
  asking(booking) {
    const problem = h("p", { class: "problem", role: "alert" });
    const button = h("button", { type: "button", id: "request-save", onclick: () => this.ask(booking, box.querySelector("textarea").value, problem) }, t("book.request_save"));
    const box = words("request", { summary: t("book.request"), label: t("book.request_text"), text: booking.request }, button, problem);
    return box;
  }

  async ask(booking, text, problem) {
    const turn = this.turn;
    try {
      await insist(() => request(path(booking.id), { method: "PATCH", body: { request: text.trim() || null } }), { seconds: INSIST_SECONDS });
      if (turn === this.turn) await this.show(booking.id, t("book.request_saved"));
    } catch (refusal) {
      if (turn === this.turn && !this.desk.refused(refusal)) put(problem, refusal.message);
    }
  }

  // Where nobody scans, the driver says himself that he came and went. Folded away: at a gate it would be in the way.
  gateless(booking, lot) {
    const [way, key] = booking.state === "confirmed" ? ["check-in", "book.check_in"] : ["check-out", "book.check_out"];
    const answer = h("p", { class: "problem", role: "alert" });
    const button = h("button", { type: "button", id: way, class: "big", onclick: () => this.report(booking, lot, way, answer) }, t(key));
    return h("details", { id: "gateless" }, h("summary", {}, t("book.no_gate")), button, answer);
  }

  async report(booking, lot, way, answer) {
    const turn = this.turn;
    const headers = { "Idempotency-Key": newId() };
    try {
      const { json } = await insist(() => request(path(booking.id, `/${way}`), { method: "POST", headers }), { seconds: INSIST_SECONDS });
      if (turn !== this.turn) return;
      this.onChange(booking.lot);
      if (json.decision !== "deny") return await this.show(booking.id, t(way === "check-in" ? "book.checked_in" : "book.checked_out"));
      const values = { at: json.not_before ? moment(json.not_before, lot.time_zone) : "", lot: lot.name };
      const why = i18n.has(`code.${json.code}`) ? t(`code.${json.code}`, values) : json.detail ?? json.code;
      put(answer, [why, isOwed(json.due) && money(json.due)].filter(Boolean).join(" "));
    } catch (problem) {
      if (turn === this.turn && !this.desk.refused(problem)) put(answer, problem.message);
    }
  }

  // Links only: nothing is loaded from elsewhere until somebody follows one.
  directions(lot) {
    if (!lot.position) return null;
    const { lat, lon } = lot.position;
    return h("div", { class: "pair" },
      h("a", { class: "go", href: `geo:${lat},${lon}?q=${lat},${lon}(${encodeURIComponent(lot.name)})` }, t("book.navigate")),
      h("a", { class: "go", id: "way", href: `https://www.openstreetmap.org/directions?to=${lat}%2C${lon}`, rel: "noreferrer noopener", target: "_blank" }, t("book.map")));
  }

  acts(booking, lot, box) {
    const button = (id, key, action) => h("button", { type: "button", id, onclick: action }, t(key));
    const usual = () => box.replaceChildren(h("div", { class: "pair" }, button("extend", "book.extend", () => this.longer(booking, lot, box, usual)),
      booking.state === "confirmed" ? button("cancel", "book.cancel", sure) : null));
    const sure = () => {
      box.replaceChildren(h("p", {}, t("book.cancel_sure")), h("div", { class: "pair" }, button("cancel-yes", "book.cancel_yes", () => this.cancel(booking, "plans_changed")), button("cancel-no", "book.cancel_no", usual)));
      box.querySelector("button").focus();
    };
    usual();
  }

  // Each choice says its end and what the whole stay will cost then.
  longer(booking, lot, box, usual) {
    const problem = h("p", { class: "problem", role: "alert" });
    const buttons = LONGER_MINUTES.map((minutes) => {
      const to = new Date(new Date(booking.to).getTime() + minutes * 60000).toISOString();
      const node = h("button", { type: "button", "data-longer": minutes, onclick: () => this.extend(booking, to, problem) }, t("book.longer", { end: span(booking.to, to, lot.time_zone).split(" – ")[1] }));
      quote(lot.code, { from: booking.from, to }).then(({ price }) => price && node.append(` · ${money(price.total)}`), () => {});
      return node;
    });
    box.replaceChildren(h("p", {}, t("book.extend_text")), h("div", { class: "pair" }, ...buttons, h("button", { type: "button", onclick: usual }, t("drawer.cancel"))), problem);
    buttons[0].focus();
  }

  async extend(booking, to, problem) {
    try {
      await request(path(booking.id), { method: "PATCH", body: { to }, headers: this.etag ? { "If-Match": this.etag } : {} });
      this.onChange(booking.lot);
      await this.show(booking.id, t("book.extended"));
    } catch (refusal) {
      if (this.desk.refused(refusal)) return;
      if (refusal.status === 412) return this.show(booking.id);
      put(problem, LOST.includes(refusal.code) ? t("book.extend_taken") : refusal.message);
    }
  }

  async cancel(booking, reason) {
    const turn = this.turn;
    try {
      await insist(() => request(path(booking.id, "/cancel"), { method: "POST", body: { reason } }), { seconds: INSIST_SECONDS });
      this.onChange(booking.lot);
      if (turn === this.turn) await this.show(booking.id);
    } catch (problem) {
      if (turn === this.turn) this.desk.problem(t("book.booking"), problem, () => this.show(booking.id));
    }
  }

  over(booking, lot) {
    const refunded = ["refunded", "partly_refunded"].includes(booking.payment?.state);
    this.desk.panel(t(`reservation.${booking.state}`), h("p", {}, t(`book.over_${booking.state}`)), refunded && h("p", {}, t(`book.${booking.payment.state}`)),
      this.facts(booking, lot), booking.price && booking.state === "completed" && feeTable(booking.price),
      h("button", { type: "button", class: "primary big", id: "anew", onclick: () => this.desk.go(`#lot=${encodeURIComponent(lot.code)}`) }, t("book.anew")));
    this.desk.say(t(`reservation.${booking.state}`));
  }
}
