// What /scan and /book have around them: the prompt for a token, the theme, the language, signing out. The console has
// its own, with its stream. Absent: what the page is for.
import { byId, h, put, t } from "./dom.js";
const { session, i18n } = window.lotkeeper;

// `roles` may use the page (a token that does not say its role is for the server to judge), `onEnter` begins it.
export class Frame {
  constructor({ roles, onEnter }) {
    this.roles = roles;
    this.onEnter = onEnter;
    this.theme();
    this.language();
    byId("sign-out").addEventListener("click", () => { session.setToken(null); location.assign(location.pathname); });
    byId("gate-form").addEventListener("submit", (event) => {
      event.preventDefault();
      session.setToken(byId("gate-token").value.trim());
      byId("gate-token").value = "";
      this.begin();
    });
  }

  begin() {
    const token = session.token();
    if (!token) return this.ask("gate.title");
    const claims = session.claims(token);
    if (claims.role && !this.roles.includes(claims.role)) return this.ask("gate.not_allowed");
    this.ask(null);
    put(byId("user-name"), claims.sub ?? t("console.user"));
    const facts = [["role", claims.role], ["tenant", claims.tenant], ["valid", claims.exp && new Date(claims.exp * 1000).toLocaleString(i18n.lang)]];
    byId("user-facts").replaceChildren(...facts.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, t(`field.${name}`)), h("dd", {}, String(value))]));
    this.onEnter(claims);
  }

  // Asks for a token and says why; null shows the page.
  ask(reason) {
    byId("gate").hidden = !reason;
    byId("page").hidden = !!reason;
    byId("user").hidden = !!reason || !session.token();
    byId("gate-text").hidden = !reason || reason === "gate.title";
    if (!reason) return;
    put(byId("gate-text"), t(reason));
    byId("gate-token").focus();
  }

  // Refusals of the token itself; true when it was one.
  refused(problem) {
    if (problem.status !== 401) return false;
    this.ask("gate.token_refused");
    return true;
  }

  theme() {
    const button = byId("theme");
    const name = () => {
      const theme = t(`theme.${session.theme()}`);
      button.setAttribute("aria-label", t("theme.label", { theme }));
      button.title = t("theme.label", { theme });
    };
    button.addEventListener("click", () => {
      const order = ["system", "light", "dark"];
      session.setTheme(order[(order.indexOf(session.theme()) + 1) % order.length]);
      name();
    });
    put(button, "◐");
    name();
  }

  language() {
    const names = { en: "English", de: "Deutsch", fr: "Français" };
    byId("language").append(...i18n.languages.map((lang) => h("option", { value: lang, lang, selected: lang === i18n.lang }, names[lang])));
    byId("language").addEventListener("change", (event) => { session.device.set("lotkeeper.lang", event.target.value); location.reload(); });
  }
}
