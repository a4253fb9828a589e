// One lot for the chosen stay: its price line by line, the plate, the hold; and what is offered instead when it is full
// or a hold was lost. A hold has one id however often it is sent. Absent: choosing a slot, which the lot does.
import { request } from "./api.js";
import { feeTable, isElsewhere, span } from "./amounts.js";
import { byId, h, put, t, words } from "./dom.js";
import { kilometres } from "./finder.js";
import { insist, newId } from "./patience.js";
import { forget, quote } from "./quotes.js";

const DUE_MS = 1500;
const HOLD_SECONDS = 600; // where a lot does not say
const INSIST_SECONDS = 20;
const ASKED_MAX = 6;
const OFFERED_MAX = 3;
const GONE = ["no_slot_free", "slot_taken", "slot_out_of_service", "no_slot_fits"];

export class Offer {
  constructor(desk, stay) {
    Object.assign(this, { desk, stay, code: null, wanted: null, turn: 0 });
  }

  leave() { this.code = null; this.turn += 1; }

  async show(code) {
    this.leave();
    this.code = code;
    this.desk.panel(this.desk.lots.get(code)?.name ?? code, h("p", { class: "quiet" }, t("console.loading")));
    await this.price();
  }

  // Again whenever the stay changes; what was typed stays.
  async price() {
    const code = this.code;
    if (!code) return;
    const turn = ++this.turn;
    if (!this.stay.good) return this.draw(this.desk.lots.get(code), null);
    try {
      const lot = await this.desk.lot(code);
      const answer = await quote(lot.code, this.stay.window);
      if (turn === this.turn) this.draw(lot, answer);
    } catch (problem) {
      if (turn !== this.turn) return;
      if (problem.status === 404 && this.desk.remembered("lot") === code) this.desk.remember("lot", null);
      this.desk.problem(this.desk.lots.get(code)?.name ?? code, problem, () => this.price());
    }
  }

  draw(lot, answer) {
    if (!lot) return;
    const plate = h("input", { id: "plate", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", maxlength: "24", required: true, value: byId("plate")?.value ?? this.desk.remembered("plate") });
    const { from, to } = this.stay.window;
    const minutes = Math.round((lot.rules?.hold_seconds ?? HOLD_SECONDS) / 60);
    const button = h("button", { class: "primary big", id: "hold", disabled: !answer?.free }, t("book.hold", { minutes }));
    const said = byId("request");
    const wish = words("request", { summary: t("book.request"), label: t("book.request_text"), text: said?.value, open: said?.parentNode.open });
    const form = h("form", { onsubmit: (event) => { event.preventDefault(); this.hold(lot, plate.value, button); } },
      h("label", { class: "field" }, h("span", {}, t("book.plate")), plate), wish, h("p", { id: "hold-problem", class: "problem", role: "alert" }), button, h("p", { class: "quiet" }, t("book.hold_text", { minutes })));
    form.querySelectorAll("* + *").forEach((node) => { if (node.parentNode === form) node.classList.add("apart"); });
    const focused = document.activeElement?.id;
    this.desk.panel(lot.name,
      h("p", { class: "line" }, h("span", { class: "quiet" }, [lot.street, lot.city].filter(Boolean).join(" · ")), answer && h("span", { class: "seats number", "data-full": !answer.free }, answer.free ? t("book.free", { n: answer.free }) : t("book.full_then"))),
      isElsewhere(from, lot.time_zone) && h("p", { class: "quiet" }, t("book.elsewhere", { zone: lot.time_zone, span: span(from, to, lot.time_zone) })),
      answer && (answer.price ? feeTable(answer.price) : h("p", {}, t("book.no_price_text"))),
      answer?.free ? form : null, answer && !answer.free ? this.instead(lot) : null);
    if (["plate", "request", "hold"].includes(focused)) byId(focused)?.focus();
  }

  async hold(lot, plate, button) {
    const text = plate.trim();
    if (!text) return byId("plate").focus();
    this.stay.refresh();
    const wish = byId("request")?.value.trim();
    const body = { lot: lot.code, ...this.stay.window, vehicle: { plate: text }, hold_seconds: lot.rules?.hold_seconds ?? HOLD_SECONDS, ...(wish && { request: wish }) };
    // The same wish sent again, whoever pressed twice, is the same hold.
    const key = JSON.stringify(body);
    if (this.wanted?.key !== key) this.wanted = { key, id: newId() };
    button.disabled = true;
    put(button, t("book.holding"));
    try {
      const { json } = await insist(() => request("/reservations", { method: "POST", body: { id: this.wanted.id, ...body } }), { seconds: INSIST_SECONDS });
      this.wanted = null;
      this.desk.remember("plate", text);
      this.desk.remember("lot", lot.code);
      forget();
      this.desk.go(`#booking=${json.id}`);
    } catch (problem) {
      if (this.desk.refused(problem)) return;
      forget();
      if (GONE.includes(problem.code)) return this.lost({ lot, why: t("book.lost_taken", { lot: lot.name }) });
      button.disabled = false;
      put(button, t("book.again"));
      put(byId("hold-problem"), problem.code === "validation_failed" && !wish ? t("book.plate_wrong") : problem.message);
    }
  }

  // What was hoped for is gone: said first, then what is left.
  lost({ lot, why }) {
    forget();
    this.turn += 1;
    this.code = null;
    this.desk.panel(t("book.lost"), this.desk.notice(why), this.instead(lot, true));
    this.desk.say(`${t("book.lost")}. ${why}`);
  }

  // The same lot if it has places again, then the nearest of the others.
  instead(lot, itself = false) {
    const list = h("ul", { class: "cards" });
    const note = h("p", { class: "quiet" }, t("console.loading"));
    const away = (one) => (lot.position && one.position ? kilometres(lot.position, one.position) : Infinity);
    const others = [...this.desk.lots.values()].filter((one) => one.code !== lot.code).sort((a, b) => away(a) - away(b));
    const asked = [...(itself ? [lot] : []), ...others].slice(0, ASKED_MAX);
    // The page counts down by itself; the server gives the place back within a second of the end.
    const due = new Promise((go) => setTimeout(go, itself ? DUE_MS : 0));
    due.then(() => Promise.all(asked.map((one) => quote(one.code, this.stay.window).then((answer) => ({ one, answer }), () => null)))).then((answers) => {
      const open = answers.filter((found) => found?.answer.free).slice(0, OFFERED_MAX);
      put(note, open.length ? t("book.next_best") : t("book.nothing_left"));
      list.replaceChildren(...open.map(({ one, answer }) => h("li", {}, h("a", { href: `#lot=${encodeURIComponent(one.code)}`, "data-lot": one.code },
        h("span", { class: "name" }, one.name), h("span", { class: "price number" }, this.desk.price(answer.price)),
        h("span", { class: "where" }, one.city ?? ""), h("span", { class: "free number" }, t("book.free", { n: answer.free }))))));
    });
    return h("div", {}, note, list);
  }
}
