// The driver's own bookings that are still to come or going on: asked for once, then told by the stream, lot by lot.
// Absent: those that are over, which the log has; bookings that another device makes in a lot this page has not met.
import { pages } from "./api.js";
import { span } from "./amounts.js";
import { byId, h, t } from "./dom.js";

const { session, Stream } = window.lotkeeper;
const SOON_MS = 12 * 3600000; // a code that is needed today is shown at once
const LOTS_MAX = 50; // of the subscriptions that the server allows on one socket
const LIVE = ["held", "confirmed", "checked_in"];

export class Mine {
  constructor(desk, { onTold }) { Object.assign(this, { desk, onTold, items: new Map(), lots: new Set() }); }

  begin() {
    this.stream?.stop();
    this.lots.clear();
    this.stream = new Stream({ token: session.token(), onMessage: (message) => this.receive(message) });
    this.stream.start();
  }

  // A lot in which something of the driver's may happen.
  watch(lot) {
    if (this.lots.has(lot) || this.lots.size >= LOTS_MAX) return;
    this.lots.add(lot);
    this.stream.subscribe(lot, "reservations");
  }

  receive(message) {
    const { reservations } = message;
    if (!reservations) return;
    // What the whole does not name is over.
    if (message.whole) for (const [id, one] of this.items) if (one.lot === message.lot && !reservations.some((told) => told.id === id)) this.items.delete(id);
    for (const told of reservations) {
      if (LIVE.includes(told.state)) this.items.set(told.id, told);
      else this.items.delete(told.id);
    }
    this.draw();
    reservations.forEach((told) => this.onTold(told));
  }

  // After what the driver did himself, and when he looks again: asked for only where nobody tells.
  changed(lot) {
    this.watch(lot);
    if (this.stream.state !== "live") this.load();
  }
  look() {
    this.stream.nudge();
    if (this.stream.state !== "live") this.load();
  }

  // Gives the booking that matters now, if there is one.
  async load() {
    const items = [];
    try { await pages(`/reservations?mine=true&state=${LIVE.join()}`, (page) => items.push(...page)); }
    catch (problem) { this.desk.refused(problem); return null; }
    this.items = new Map(items.map((one) => [one.id, one]));
    items.forEach((one) => this.watch(one.lot));
    return this.draw().find((one) => new Date(one.from) - Date.now() < SOON_MS) ?? null;
  }

  draw() {
    const items = [...this.items.values()].sort((a, b) => new Date(a.from) - new Date(b.from));
    byId("mine").hidden = !items.length;
    byId("mine-list").replaceChildren(...items.map((one) => h("li", {}, h("a", { href: `#booking=${one.id}`, "data-booking": one.id },
      h("span", { class: "name" }, this.desk.lots.get(one.lot)?.name ?? one.lot), h("span", { class: "price" }, t(`reservation.${one.state}`)),
      h("span", { class: "where number" }, span(one.from, one.to, this.desk.lots.get(one.lot)?.time_zone)), h("span", { class: "where" }, one.vehicle?.plate ?? "")))));
    return items;
  }
}
