// One thing at the side of the page: what the server knows of it, and what can be done, each asked for before it is done.
// Invariants: facts are the server's; what is sent carries an id of its own, so that a lost answer does nothing twice; an
// open form survives refreshes. Absent: what is shown and done (stays.js, violations.js).
import { Problem } from "./api.js";
import { h, t } from "./dom.js";
import { insist, newId } from "./patience.js";

const INSIST_SECONDS = 20;
const GATHER_MS = 400;
let sheets = 0;

// Fields of a form: name, label, value, required, pattern with its hint, options (a list to choose from) or hints (a list
// to help typing).
function field({ name, label, value = "", required, pattern, hint, options, hints, mode, max = 100 }) {
  const id = `sheet-${name}`;
  const node = options
    ? h("select", { id, name }, ...options.map(([code, text]) => h("option", { value: code, selected: code === value }, text)))
    : h("input", { id, name, value, required, pattern, title: hint, maxlength: String(max), autocomplete: "off", spellcheck: "false", inputmode: mode, list: hints && `${id}-list` });
  const known = hints ? h("datalist", { id: `${id}-list` }, ...hints.map((one) => h("option", { value: one }))) : null;
  return [h("label", { for: id }, label), node, known, hint ? h("p", { class: "quiet hint" }, hint) : null];
}

export class Sheet {
  constructor() {
    const title = `sheet-title-${(sheets += 1)}`;
    this.title = h("h2", { id: title });
    this.facts = h("div");
    this.actions = h("div", { class: "actions" });
    this.said = h("p", { class: "said", role: "status" });
    const close = h("button", { type: "button", "aria-label": t("drawer.close"), onclick: () => this.dialog.close() }, "✕");
    this.dialog = h("dialog", { class: "drawer sheet-side", "aria-labelledby": title }, h("div", { class: "drawer-head" }, this.title, close), this.facts, this.actions, this.said);
    this.dialog.addEventListener("close", () => {
      this.open = null;
      clearTimeout(this.timer);
      if (this.opener?.isConnected) this.opener.focus();
    });
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
    document.body.append(this.dialog);
  }

  // `load()` gives {title, facts, actions}; `first` names the action whose form is open at once.
  show(load, opener, first) {
    this.open = { load };
    this.opener = opener;
    this.form = null;
    this.title.textContent = "…"; // until its name is known
    this.say("");
    this.facts.replaceChildren(h("p", { class: "note" }, t("console.loading")));
    this.actions.replaceChildren();
    this.offered = null;
    if (!this.dialog.open) this.dialog.showModal();
    return this.read(first);
  }

  close() { if (this.dialog.open) this.dialog.close(); }

  // It changed, or something near it.
  touch() {
    if (!this.open || this.timer) return;
    this.timer = setTimeout(() => { this.timer = null; if (this.open) this.read(); }, GATHER_MS);
  }

  say(text, wrong) {
    this.said.textContent = text;
    this.said.classList.toggle("problem", !!wrong);
  }

  async read(first) {
    const { open } = this;
    try {
      const { title, facts, actions } = await open.load();
      if (open !== this.open) return;
      this.title.textContent = title;
      this.facts.replaceChildren(...[facts].flat().filter(Boolean));
      this.list = actions;
      const at = first && actions.find((one) => one.name === first);
      if (at) this.ask(at);
      else if (!this.form) this.offer();
    } catch (problem) {
      if (open === this.open) this.facts.replaceChildren(h("p", { class: "problem" }, problem.message));
    }
  }

  // Buttons that stay the same stay where they are: one that is replaced under a finger does nothing.
  offer(focus) {
    this.form = null;
    const offered = JSON.stringify(this.list.map(({ name, label, why, main }) => [name, label, why, main]));
    if (offered !== this.offered) {
      this.actions.replaceChildren(...this.list.map((action, at) => (action.why
        ? h("p", { class: "quiet", "data-not": action.name }, action.why)
        : h("button", { type: "button", "data-act": action.name, class: action.main && "primary", onclick: () => this.ask(this.list[at]) }, action.label))));
      this.offered = offered;
    }
    if (focus) (this.actions.querySelector(`[data-act="${focus}"]`) ?? this.actions.querySelector("button") ?? this.dialog.querySelector("button")).focus();
  }

  ask(action) {
    this.say("");
    const fields = (action.fields ?? []).map(field);
    const yes = h("button", { class: "primary", "data-yes": action.name }, action.yes ?? action.label);
    const no = h("button", { type: "button", "data-no": action.name, onclick: () => (action.only ? this.close() : this.offer(action.name)) }, t("drawer.cancel"));
    const form = h("form", {}, h("p", { class: "ask" }, action.ask), ...fields.flat(), h("div", { class: "pair" }, yes, no));
    const id = newId(); // the same for every try of this form
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send(action, Object.fromEntries(new FormData(form)), id, yes);
    });
    this.form = form;
    this.offered = null;
    this.actions.replaceChildren(form);
    (form.querySelector("input, select") ?? yes).focus();
  }

  async send(action, values, id, button) {
    const { open } = this;
    button.disabled = true;
    this.say(t("desk.sending"));
    try {
      const done = await insist(() => action.act(values, id), { seconds: INSIST_SECONDS, givenUp: () => open !== this.open });
      if (open !== this.open) return;
      this.form = null;
      this.say(action.said ? action.said(done) : t("drawer.done"));
      if (action.next) open.load = action.next(done);
      await this.read();
      (this.actions.querySelector("button") ?? this.dialog.querySelector("button")).focus();
    } catch (problem) {
      if (open !== this.open) return;
      button.disabled = false;
      const changed = problem instanceof Problem && problem.code === "version_mismatch";
      this.say(changed ? t("desk.changed") : problem.message, true);
      if (changed) await this.read();
    }
  }
}
