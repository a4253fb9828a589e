// The drawer of a slot: what the server knows, and for operators the two service actions, confirmed.
// Invariants: facts come from GET slot, never from guesses; a change carries If-Match, so nobody overwrites another
// unseen; an open form survives refreshes of the facts.
import { Problem, request, slotPath } from "./api.js";
import { ago, byId, h, instant, t } from "./dom.js";
import { shape, word } from "./status.js";

const { i18n } = window.lotkeeper;
const REFRESH_MS = 400; // a busy slot is not asked for more often than this
const MAY_CHANGE = ["operator", "admin"];

export class Drawer {
  constructor({ roleOf }) {
    this.dialog = byId("drawer");
    this.roleOf = roleOf;
    this.open = null; // {lot, code}
    this.dialog.addEventListener("close", () => {
      const back = this.opener;
      this.open = null;
      clearTimeout(this.timer);
      if (back?.isConnected) back.focus();
    });
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
  }

  show(lot, code, opener) {
    this.open = { lot, code };
    this.opener = opener;
    this.etag = null;
    this.title = h("h2", { id: "drawer-title" }, code);
    this.facts = h("div", {}, h("p", { class: "note" }, t("console.loading")));
    this.actions = h("div", { class: "actions" });
    this.said = h("p", { class: "said", role: "status" });
    const close = h("button", { type: "button", "aria-label": t("drawer.close"), onclick: () => this.dialog.close() }, "✕");
    this.dialog.replaceChildren(h("div", { class: "drawer-head" }, this.title, close), this.facts, this.actions, this.said);
    this.dialog.showModal();
    this.load(true);
  }

  // A change of the slot came over the stream.
  touch(code) {
    if (this.open?.code !== code) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(false), REFRESH_MS);
  }

  close() { if (this.dialog.open) this.dialog.close(); }

  async load(first) {
    const { lot, code } = this.open;
    try {
      const { json, etag } = await request(slotPath(lot.code, code));
      if (this.open?.code !== code) return;
      this.etag = etag;
      this.facts.replaceChildren(this.describe(lot, json));
      const state = json.service?.state ?? "in_service";
      if (first || state !== this.service) this.offer(state);
    } catch (problem) {
      if (this.open?.code === code) this.facts.replaceChildren(h("p", { class: "problem" }, problem.message));
    }
  }

  describe(lot, slot) {
    const zone = (lot.zones ?? []).find((one) => one.code === slot.zone);
    const time = (at) => (at ? `${instant(at, lot.time_zone)} · ${ago(at)}` : "–");
    const named = (group, key) => (!key ? "–" : i18n.has(`${group}.${key}`) ? t(`${group}.${key}`) : key);
    const promise = slot.reservation ? `${instant(slot.reservation.from, lot.time_zone)} – ${instant(slot.reservation.to, lot.time_zone)}` : t("drawer.no_promise");
    const service = slot.service?.state === "out_of_service" ? [t("drawer.closed_now"), slot.service.reason, slot.service.until && t("drawer.until", { at: instant(slot.service.until, lot.time_zone) })].filter(Boolean).join(" · ") : t("drawer.in_service");
    const rows = [
      ["status", h("span", { class: "state" }, shape(slot.status), " ", word(slot.status))],
      ["since", time(slot.since)],
      ["source", named("source", slot.source)],
      ["observed", time(slot.observed_at)],
      ["received", time(slot.received_at)],
      ["sensor", named("sensor", slot.sensor)],
      ["promise", promise],
      ["service", service],
      ["zone", zone?.name ?? slot.zone ?? "–"],
      ["size", [named("size", slot.size), ...(slot.features ?? []).map((one) => named("feature", one))].join(", ")],
    ];
    return h("dl", { class: "facts number" }, ...rows.flatMap(([name, value]) => [h("dt", {}, t(`field.${name}`)), h("dd", {}, value)]));
  }

  offer(state) {
    this.service = state;
    if (!MAY_CHANGE.includes(this.roleOf())) return this.actions.replaceChildren(h("p", { class: "note" }, t("drawer.look_only", { role: this.roleOf() || "–" })));
    const taking = state === "in_service";
    const name = taking ? "drawer.take_out" : "drawer.take_back";
    this.actions.replaceChildren(h("button", { type: "button", onclick: () => this.confirm(taking, name) }, t(name)));
  }

  confirm(taking, name) {
    const reason = h("input", { id: "drawer-reason", maxlength: "100", required: true, autocomplete: "off" });
    const ask = h("p", { class: "ask" }, t(taking ? "drawer.sure_out" : "drawer.sure_back", { slot: this.open.code }));
    const no = h("button", { type: "button", onclick: () => { this.offer(this.service); this.actions.querySelector("button").focus(); } }, t("drawer.cancel"));
    const yes = h("button", { class: "primary" }, t(name));
    const form = h("form", {}, ask, taking ? h("label", { for: "drawer-reason" }, t("drawer.reason")) : null, taking ? reason : null, h("div", { class: "pair" }, yes, no));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      yes.disabled = true;
      this.change(taking ? { state: "out_of_service", reason: reason.value.trim() } : { state: "in_service" }, yes);
    });
    this.actions.replaceChildren(form);
    (taking ? reason : yes).focus();
  }

  async change(service, button) {
    const { lot, code } = this.open;
    this.said.textContent = "";
    try {
      await request(slotPath(lot.code, code), { method: "PATCH", body: { service }, headers: this.etag ? { "If-Match": this.etag } : {} });
      if (this.open?.code !== code) return;
      this.said.textContent = t("drawer.done");
      this.said.classList.remove("problem");
      await this.load(true);
      this.actions.querySelector("button")?.focus();
    } catch (problem) {
      if (this.open?.code !== code) return;
      button.disabled = false;
      this.said.classList.add("problem");
      this.said.textContent = problem instanceof Problem && problem.code === "version_mismatch" ? t("drawer.changed_meanwhile") : problem.message;
      if (problem.code === "version_mismatch") await this.load(false);
    }
  }
}
