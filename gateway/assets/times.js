// From when until when. Until a person touches it the stay begins now, in round minutes, and goes on beginning now while
// the page is open. Times are those of this device; where the lot's clocks differ the offer says so. Absent: days that
// a lot is closed, which its answer knows.
import { byId, put, t } from "./dom.js";

const ROUND_MS = 5 * 60000;
const MINUTE_MS = 60000;
const USUAL_MINUTES = 120;
const SETTLE_MS = 400; // a time is typed digit by digit

const roundNow = () => Math.ceil(Date.now() / ROUND_MS) * ROUND_MS;
const text = (at) => new Date(at - new Date(at).getTimezoneOffset() * MINUTE_MS).toISOString().slice(0, 16);

export class Stay {
  constructor({ onChange }) {
    this.onChange = onChange;
    this.touched = false;
    this.from = roundNow();
    this.to = this.from + USUAL_MINUTES * MINUTE_MS;
    this.write();
    for (const id of ["from", "to"]) byId(id).addEventListener("input", () => this.read(id));
    byId("when").addEventListener("submit", (event) => event.preventDefault());
    for (const button of document.querySelectorAll("[data-minutes]")) {
      button.addEventListener("click", () => { this.to = this.from + Number(button.dataset.minutes) * MINUTE_MS; this.write(); this.changed(0); });
    }
    setInterval(() => this.refresh(), 20000);
  }

  get good() { return this.to > this.from && this.to > Date.now(); }
  get window() { return { from: new Date(this.from).toISOString(), to: new Date(this.to).toISOString() }; }

  refresh() {
    if (this.touched || roundNow() <= this.from) return;
    this.to += roundNow() - this.from;
    this.from = roundNow();
    this.write();
    this.changed(0);
  }

  read(id) {
    const at = new Date(byId(id).value).getTime();
    if (Number.isNaN(at)) return;
    this.touched = true;
    // A later beginning keeps the length.
    if (id === "from") this.to += at - this.from;
    this[id] = at;
    if (id === "from") byId("to").value = text(this.to);
    this.changed(SETTLE_MS);
  }

  write() {
    byId("from").value = text(this.from);
    byId("to").value = text(this.to);
    this.mark();
  }

  mark() {
    const minutes = (this.to - this.from) / MINUTE_MS;
    document.querySelectorAll("[data-minutes]").forEach((button) => button.setAttribute("aria-pressed", String(Number(button.dataset.minutes) === minutes)));
    put(byId("when-problem"), this.good ? "" : t(this.to > this.from ? "book.in_past" : "book.ends_first"));
  }

  changed(after) {
    this.mark();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.onChange(), after);
  }
}
