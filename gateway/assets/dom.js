// Small hands for DOM and times. No markup strings: what a server sends becomes text, never HTML.
const { i18n } = window.lotkeeper;
export const t = i18n.t;
export const byId = (id) => document.getElementById(id);

export function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Words of one's own, folded away: nobody has to say anything. `text` is what was said so far.
export const WORDS_MAX = 500;
export function words(id, { summary, label, text = "", open = false }, ...more) {
  const area = h("textarea", { id, rows: "3", maxlength: String(WORDS_MAX) });
  area.value = text;
  return h("details", { class: "words", open }, h("summary", {}, summary), h("label", { class: "quiet", for: id }, label), area, ...more);
}

export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function options(select, pairs) {
  const chosen = select.value;
  select.replaceChildren(...pairs.map(([value, text]) => h("option", { value }, text)));
  select.value = pairs.some(([value]) => value === chosen) ? chosen : pairs[0][0];
}

// Groups of three are set apart by style, so that the text of the node stays a plain number for readers and tests.
export function bigNumber(node, value) {
  const text = String(value);
  if (node.dataset.value === text) return;
  node.dataset.value = text;
  node.replaceChildren(...text.replace(/\B(?=(\d{3})+(?!\d))/g, " ").split(" ").map((group) => h("span", { class: "group" }, group)));
}

export const percent = (share) => (share === null ? "–" : `${Math.floor(share * 100)} %`);

export function ageText(ms) {
  const s = Math.floor(ms / 1000);
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min`;
  return s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
}

const formats = new Map(); // making a formatter costs far more than using it
function format(zone, dated) {
  const key = `${zone}|${dated}`;
  if (!formats.has(key)) {
    const parts = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
    if (dated) Object.assign(parts, { year: "numeric", month: "short", day: "numeric" });
    let made;
    try { made = new Intl.DateTimeFormat(i18n.lang, { ...parts, timeZone: zone || undefined }); }
    catch { made = new Intl.DateTimeFormat(i18n.lang, parts); } // a zone this browser does not know
    formats.set(key, made);
  }
  return formats.get(key);
}
export const clock = (at, zone) => format(zone, false).format(new Date(at));

export function instant(at, zone) {
  if (!at) return "–";
  const when = new Date(at);
  const near = Math.abs(Date.now() - when) < 20 * 3600000;
  return (near ? format(zone, false) : format(zone, true)).format(when);
}

// A server's clock a little ahead of ours is no reason to speak of the future.
export const ago = (at) => t("time.ago", { age: ageText(Math.max(0, Date.now() - new Date(at))) });

// One tab stop for many things: arrow keys move inside. `columns` says how wide a row is at a node.
export function roving(container, selector, { step }) {
  const items = () => [...container.querySelectorAll(selector)].filter((node) => !node.closest("[hidden]"));
  const current = () => container.querySelector(`${selector}[tabindex="0"]`);
  function choose(node, focus) {
    if (!node) return;
    const before = current();
    if (before && before !== node) before.tabIndex = -1;
    node.tabIndex = 0;
    if (focus) node.focus();
  }
  container.addEventListener("focusin", (event) => choose(event.target.closest(selector), false));
  container.addEventListener("keydown", (event) => {
    const node = event.target.closest(selector);
    if (!node || event.altKey || event.ctrlKey || event.metaKey) return;
    const all = items();
    const target = step(event.key, node, all, all.indexOf(node));
    if (target === undefined) return;
    event.preventDefault();
    choose(target, true);
  });
  return { choose, ensure: () => { if (!current() || current().closest("[hidden]")) choose(items()[0], false); } };
}
