// The faces of the chosen lot: its places, and what is loaded when somebody first opens it: gates, stays, violations.
// The address says which, #lot=CODE&show=NAME. Absent: what they show (desk.js and its neighbours).
import { byId, h, t } from "./dom.js";
const { session, i18n } = window.lotkeeper;
const NAMES = ["places", "gates", "stays", "violations"];

function styles() {
  const link = h("link", { rel: "stylesheet", href: "/assets/desk.css" });
  document.head.append(link);
  return new Promise((good, bad) => { link.onload = good; link.onerror = () => { link.remove(); bad(new Error(link.href)); }; });
}

export class Tabs {
  constructor(needs) {
    Object.assign(this, { needs, lot: null, desk: null });
    this.buttons = [...document.querySelectorAll("[data-tab]")];
    for (const button of this.buttons) button.addEventListener("click", () => this.choose(button.dataset.tab));
    const { show } = session.parse(location.hash);
    this.mark(NAMES.includes(show) ? show : "places");
  }

  mark(name) {
    this.name = name;
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(button.dataset.tab === name));
    byId("places").hidden = name !== "places";
    byId("work").hidden = name === "places";
  }

  choose(name) {
    this.mark(name);
    this.open();
  }

  // Another lot keeps the face; nothing leaves what was shown.
  show(lot) {
    this.lot = lot;
    byId("tabs").hidden = !lot;
    this.mark(this.name);
    if (lot) return this.open();
    byId("places").hidden = false;
    byId("work").hidden = true;
    this.desk?.leave();
  }

  async open() {
    if (!this.lot) return;
    const { name, lot } = this;
    history.replaceState(null, "", `#lot=${encodeURIComponent(lot.code)}${name === "places" ? "" : `&show=${name}`}`);
    if (name === "places") return this.desk?.leave();
    const work = byId("work");
    if (!this.desk) work.replaceChildren(h("p", { class: "note" }, t("console.loading")));
    try {
      const [{ Desk }] = await Promise.all([import("./desk.js"), i18n.load(["stay", "gate", "desk"]), this.styled ??= styles()]);
      this.desk ??= new Desk(work, this.needs);
    } catch {
      this.styled = null;
      return work.replaceChildren(h("p", { class: "problem" }, t("error.unreachable")), h("button", { type: "button", onclick: () => this.open() }, t(`tab.${name}`)));
    }
    if (name === this.name && lot === this.lot) await this.desk.show(name, lot);
  }

  changes(changes) { this.desk?.changes(changes); }
  refresh() { this.desk?.refresh(); }
}
