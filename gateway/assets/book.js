// The driver's page: when, where, the price, a hold, the code for the gate. The address says where one is, #lot=CODE or
// #booking=ID, so the browser's back button works. Absent: paying on the network, accounts.
import { request } from "./api.js";
import { money } from "./amounts.js";
import { Booking } from "./booking.js";
import { byId, h, put, t } from "./dom.js";
import { Finder } from "./finder.js";
import { Frame } from "./frame.js";
import { Mine } from "./mine.js";
import { Offer } from "./offer.js";
import { Stay } from "./times.js";

const { session, i18n } = window.lotkeeper;
const DRIVERS = ["admin", "operator", "staff", "driver"];
const wide = matchMedia("(min-width: 64rem)");

// Kept on the device for the person of the token: another one in the family is not shown his plate.
let person = "";
const remembered = (key) => session.device.get(`lotkeeper.book.${person}.${key}`) ?? "";
const remember = (key, value) => session.device.set(`lotkeeper.book.${person}.${key}`, value);

// What the parts share: lots that were seen, the panel, the ways from one to the other.
const desk = {
  lots: new Map(),
  remembered,
  remember,

  async lot(code) {
    if (!desk.lots.has(code)) desk.learn([(await request(`/lots/${encodeURIComponent(code)}`)).json]);
    return desk.lots.get(code);
  },
  learn(lots) { for (const lot of lots) desk.lots.set(lot.code, lot); },

  panel(title, ...children) {
    desk.failed = false;
    // What had the focus is about to go; a reader by ear is told what came instead.
    const inside = byId("panel-body").contains(document.activeElement);
    put(byId("panel-title"), title);
    byId("panel-body").replaceChildren(...children.filter(Boolean));
    if (inside) byId("panel").focus({ preventScroll: true });
  },
  // The fault in a sentence and a way on.
  problem(title, problem, again) {
    if (frame.refused(problem)) return;
    desk.panel(title, desk.notice(problem.message), again && h("button", { type: "button", class: "big", onclick: again }, t("book.again")));
    desk.failed = true;
    desk.say(problem.message);
  },
  // The server answers again: what failed is looked up anew.
  recovered() { desk.banner(""); if (desk.failed) { mine.load(); route(); } },
  notice: (text, kind) => h("p", { class: "notice", "data-kind": kind, role: kind === "good" ? "status" : "alert" }, text),
  say(text) { put(byId("say"), text); },
  banner(text) { byId("banner").hidden = !text; put(byId("banner"), text); },
  refused: (problem) => frame.refused(problem),
  price: (price) => (price ? money(price.total) : t("book.no_price")),
  go(place) { if (location.hash === place) route(); else location.hash = place; },
};

let frame, stay, finder, mine, offer, booking;

function route(event) {
  const { lot, booking: id } = session.parse(location.hash);
  booking.leave();
  offer.leave();
  byId("page").dataset.step = id ? "booking" : lot ? "lot" : "find";
  finder.choose(lot);
  if (id) booking.show(id);
  else if (lot) offer.show(lot);
  else desk.panel(t("book.choose"), h("p", { class: "quiet" }, t("book.choose_text")));
  if (!lot && !id) return;
  if (!wide.matches) scrollTo(0, 0);
  if (event) byId("panel").focus({ preventScroll: true });
}

// Whoever comes back finds his code, or else the lot of last time with its price.
async function begin(claims) {
  person = `${claims.tenant ?? ""}.${claims.sub ?? ""}`;
  const { lot, booking: id } = session.parse(location.hash);
  mine.begin();
  finder.begin();
  const next = await mine.load();
  if (!lot && !id) {
    const last = remembered("lot");
    const place = next ? `#booking=${next.id}` : last ? `#lot=${encodeURIComponent(last)}` : "";
    if (place) history.replaceState(null, "", place);
  }
  route();
}

async function start() {
  await i18n.load("stay");
  stay = new Stay({ onChange: () => { finder.price(); offer.price(); } });
  finder = new Finder(desk, stay);
  mine = new Mine(desk, { onTold: (told) => booking.told(told) });
  offer = new Offer(desk, stay);
  booking = new Booking(desk, { onChange: (lot) => mine.changed(lot), onLost: (lost) => offer.lost(lost) });
  frame = new Frame({ roles: DRIVERS, onEnter: begin });
  byId("back").addEventListener("click", () => desk.go("#"));
  addEventListener("hashchange", (event) => session.parse(location.hash).token === undefined && route(event));
  addEventListener("offline", () => desk.banner(t("book.offline")));
  addEventListener("online", () => { desk.banner(""); finder.load(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && session.token()) { stay.refresh(); mine.look(); } });
  frame.begin();
}
start();
