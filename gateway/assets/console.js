// The console: wires stream, lots, chosen lot, feed and drawer. Lots live in `lots`; all that the server sends passes
// through `receive`. Absent: any store library, any route besides #lot=CODE.
import { Problem, lotPath, pages, request } from "./api.js";
import { ageText, bigNumber, byId, clock, h, put, t } from "./dom.js";
import { Feed } from "./feed.js";
import { History, SAMPLE_MS } from "./history.js";
import { LotView } from "./lotview.js";
import { LotList } from "./lots.js";
import { Meter } from "./meter.js";
import { fullness, isKnown } from "./status.js";
import { Tabs } from "./tabs.js";

const { session, i18n, Stream } = window.lotkeeper;
const SUBSCRIPTIONS = 200; // what the server allows on one socket
const RESERVED = 2; // the chosen lot's slots, and its counts where it is beyond the limit
const POLL_MS = 15000; // lots beyond the limit
const REDISCOVER_MS = 60000; // lots that were created since
const DIM_MS = 30000;
const BLANK_MS = 60000;
const EXPIRY_WARN_MS = 120000;
const wide = matchMedia("(min-width: 60rem)");

const lots = new Map();
let claims = {};
let stream, list, view, feed, tabs;
let drawer = null; // loaded with the first slot that is opened
let meter = new Meter();
let chosen = null;
let limit = SUBSCRIPTIONS - RESERVED;
let streamState = { name: "idle" };
let failure = null; // the last failed request for the list
let polled = 0;
let bring = false; // one column: the lot that was asked for is brought into sight

// ---- lots
function learn(items) {
  const fresh = [];
  for (const item of items) {
    let lot = lots.get(item.code);
    if (!lot) lots.set(item.code, (lot = { history: new History(), counts: null, watched: false }));
    const { availability, ...rest } = item;
    Object.assign(lot, rest);
    if (!lot.watched && availability) { lot.counts = availability; lot.countsAt = performance.now(); }
    fresh.push(lot);
  }
  list.place(fresh);
  watch();
}

function watch() {
  let used = [...lots.values()].filter((lot) => lot.watched).length;
  for (const lot of lots.values()) {
    if (lot.watched || used >= limit) continue;
    lot.watched = true;
    used += 1;
    stream.subscribe(lot.code, "counts");
  }
  put(byId("lots-count"), lots.size ? String(lots.size) : "");
  put(byId("lots-note"), failure ? failure.message : lots.size ? (lots.size > used ? t("lots.polled", { n: lots.size - used, s: POLL_MS / 1000 }) : "") : t("lots.none"));
  byId("lots-note").hidden = !byId("lots-note").textContent;
}

async function loadLots() {
  polled = performance.now();
  try {
    failure = null;
    await pages("/lots?", (items) => { learn(items); route(); });
    if (!lots.size) { watch(); view.nothing(t("console.no_lot"), t("lots.none")); }
  } catch (problem) {
    failure = problem;
    if (problem.status === 401) return gate("gate.token_refused");
    watch();
    if (problem.status === 403) view.nothing(t("lot.not_allowed_title"), problem.message);
    else if (!lots.size) view.nothing(t("error.title"), problem.message);
  }
  header();
}

// ---- the chosen lot
function route() {
  const wanted = session.parse(location.hash).lot;
  if (!wanted && !chosen) {
    const first = wide.matches || lots.size === 1 ? list.first(true) : null;
    if (first) { history.replaceState(null, "", `#lot=${encodeURIComponent(first)}`); choose(first); }
    else if (lots.size) view.nothing(t("console.no_lot"), t("lot.choose"));
    return;
  }
  if (wanted && wanted !== chosen?.code && wanted !== chosen?.id) {
    bring = !wide.matches;
    choose(wanted);
  }
}

async function choose(code) {
  leave();
  let lot = lots.get(code) ?? [...lots.values()].find((one) => one.id === code);
  if (!lot) {
    try {
      const { json } = await request(lotPath(code));
      if (session.parse(location.hash).lot !== code) return;
      learn([json]);
      lot = lots.get(json.code);
    } catch (problem) {
      return view.nothing(code, problem instanceof Problem && problem.status === 404 ? t("gate.lot_not_found", { lot: code, tenant: claims.tenant ?? "" }) : problem.message);
    }
  }
  chosen = lot;
  document.title = `${lot.name} · Lotkeeper`;
  list.choose(lot.code);
  view.show(lot);
  tabs.show(lot);
  feed.reset(lot);
  stream.subscribe(lot.code, "slots");
  if (!lot.watched) stream.subscribe(lot.code, "counts");
  header();
}

function leave() {
  if (!chosen) return;
  drawer?.close();
  tabs.show(null);
  stream.unsubscribe(chosen.code, "slots");
  if (!chosen.watched) stream.unsubscribe(chosen.code, "counts");
  chosen = null;
}

// ---- the stream
function receive(message, sub) {
  meter.see(message);
  if (message.op === "counts") counted(message);
  else if (message.op === "snapshot" && message.lot === chosen?.code) arrived(message);
  else if (message.op === "changes" && message.lot === chosen?.code) { view.changes(message); tabs.changes(message.changes); }
  else if (message.op === "error" && sub?.lot === chosen?.code && sub?.view === "slots") view.refuse(message.detail ?? message.code);
  else if (message.op === "token") header();
}

function arrived(message) {
  view.snapshot(message);
  tabs.refresh();
  header();
  // Only now the page is long enough to be scrolled there.
  if (bring) byId("lot").scrollIntoView();
  bring = false;
}

function counted(message) {
  const lot = lots.get(message.lot);
  if (!lot) return;
  lot.counts = message;
  lot.countsAt = performance.now();
  if (lot.history.from === null) lot.history.sample(fullness(message));
  list.touch(lot);
  if (lot === chosen) onFrame();
}

let framed = false;
function onFrame() {
  if (framed) return;
  framed = true;
  requestAnimationFrame(() => { framed = false; if (chosen) { view.counts(); if (byId("curve").hidden) view.drawCurve(); } });
}

function onState(state) {
  streamState = state;
  if (state.name !== "live") meter.pause();
  if (state.name === "refused") gate(state.code === 4403 ? "gate.not_allowed" : "gate.token_refused");
  if (state.code === 4429) fewer();
  header();
}

// The server allows fewer subscriptions than we thought: keep half, poll the rest.
function fewer() {
  limit = Math.max(1, Math.floor(limit / 2));
  [...lots.values()].filter((lot) => lot.watched).slice(limit).forEach((lot) => {
    lot.watched = false;
    if (lot !== chosen) stream.unsubscribe(lot.code, "counts");
  });
  watch();
}

// ---- header, once a second and at every change of state
function header() {
  const sub = chosen && stream.find(chosen.code, "slots");
  const any = chosen ? stream.age(sub) : stream.now() - stream.lastMessage;
  let state = streamState.name === "live" ? "live" : streamState.name === "waiting" ? "reconnecting" : streamState.name;
  const lost = state !== "live" && stream.downSince !== null;
  if (lost && state === "connecting") state = "reconnecting";
  const old = any === Infinity ? 0 : any;
  if (state === "live" && old >= DIM_MS) state = "reconnecting";
  if (state !== "refused" && state !== "idle" && old >= BLANK_MS) state = "stale";
  byId("stream").dataset.state = state;
  byId("desk").toggleAttribute("data-old", old >= DIM_MS);
  put(byId("stream-word"), t(`state.${state}`));
  put(byId("stream-age"), any === Infinity || state === "idle" || state === "refused" ? "" : `· ${ageText(any)}`);
  const seq = chosen ? (sub?.seq || meter.seq(chosen.code)) : null;
  if (seq === null || seq === undefined) put(byId("stream-seq"), "–");
  else bigNumber(byId("stream-seq"), seq);
  put(byId("stream-lag"), meter.lagMs === null || state !== "live" ? "–" : `${Math.round(meter.lagMs)} ms`);
  put(byId("stream-rate"), String(meter.rate()));
  banner(state, any);
}

function banner(state, age) {
  let text = "";
  const left = claims.exp ? claims.exp * 1000 - Date.now() : Infinity;
  if (state === "reconnecting" || state === "stale") text = t(state === "stale" ? "banner.stale" : "banner.reconnecting", { at: age === Infinity ? "–" : clock(Date.now() - age, chosen?.time_zone) });
  else if (left < EXPIRY_WARN_MS) text = t("banner.expiring");
  else if (failure && lots.size) text = t("banner.list_failed", { detail: failure.message });
  byId("banner").hidden = !text;
  byId("banner").dataset.state = state;
  put(byId("banner"), text);
}

// ---- token, theme, search
function gate(reason) {
  byId("gate").hidden = !reason;
  byId("desk").hidden = byId("search-form").hidden = !!reason;
  byId("user").hidden = !!reason || !session.token();
  byId("gate-text").hidden = !reason || reason === "gate.title";
  if (!reason) return;
  put(byId("gate-text"), t(reason));
  drawer?.close();
  tabs.show(null);
  byId("gate-token").focus();
}

function enter(token) {
  session.setToken(token);
  claims = session.claims(token);
  gate(null);
  put(byId("tenant"), claims.tenant ?? "");
  byId("tenant").hidden = !claims.tenant;
  put(byId("user-name"), claims.sub ?? t("console.user"));
  const facts = [["role", claims.role], ["tenant", claims.tenant], ["valid", claims.exp && new Date(claims.exp * 1000).toLocaleString(i18n.lang)]];
  byId("user-facts").replaceChildren(...facts.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, t(`field.${name}`)), h("dd", {}, String(value))]));
  stream.token = token;
  stream.start();
  loadLots();
}

function signOut() {
  session.setToken(null);
  location.assign(location.pathname);
}

function themeButton() {
  const button = byId("theme");
  const name = () => {
    const theme = t(`theme.${session.theme()}`);
    put(button, `◐ ${theme}`);
    button.setAttribute("aria-label", t("theme.label", { theme }));
  };
  button.addEventListener("click", () => {
    const order = ["system", "light", "dark"];
    session.setTheme(order[(order.indexOf(session.theme()) + 1) % order.length]);
    name();
  });
  name();
}

function search() {
  const field = byId("search");
  field.addEventListener("input", () => list.filter(field.value));
  byId("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    const slot = [...view.slots.keys()].find((code) => code.toLowerCase() === text.toLowerCase());
    const first = list.first();
    if (slot) view.go(slot);
    else if (text && first) { location.hash = `lot=${encodeURIComponent(first)}`; byId("lot").focus(); }
    else if (text) put(byId("say"), t("search.none", { text }));
    if (slot) { field.value = ""; list.filter(""); }
  });
}

function tick() {
  header();
  if (document.hidden || byId("desk").hidden) return;
  const beyond = [...lots.values()].some((lot) => !lot.watched);
  if (performance.now() - polled > (beyond || failure ? POLL_MS : REDISCOVER_MS)) loadLots();
}

// Samples are taken only of what is known now: while the stream is down the line has a gap.
function sample() {
  for (const lot of lots.values()) {
    const age = lot.watched ? stream.age(stream.find(lot.code, "counts")) : performance.now() - (lot.countsAt ?? -Infinity);
    lot.history.sample(age < DIM_MS && isKnown(lot.counts) ? fullness(lot.counts) : null);
    list.touch(lot);
  }
  view.drawCurve();
}

async function openSlot(code, opener) {
  const lot = chosen;
  try {
    const { Drawer } = await import("./drawer.js");
    drawer ??= new Drawer({ roleOf: () => claims.role });
    if (lot === chosen) drawer.show(lot, code, opener);
  } catch { put(byId("say"), t("error.unreachable")); }
}

function languages() {
  const names = { en: "English", de: "Deutsch", fr: "Français" };
  byId("language").append(...i18n.languages.map((lang) => h("option", { value: lang, lang, selected: lang === i18n.lang }, names[lang])));
  byId("language").addEventListener("change", (event) => { session.device.set("lotkeeper.lang", event.target.value); location.reload(); });
}

async function start() {
  await i18n.load();
  stream = new Stream({ token: session.token(), onMessage: receive, onState });
  list = new LotList();
  tabs = new Tabs({ roleOf: () => claims.role, slots: () => view.slots, onRefused: () => gate("gate.token_refused") });
  feed = new Feed({ onGo: (code) => view.go(code) });
  view = new LotView({
    onOpen: openSlot,
    onChange: (change, before) => { feed.add(change, before); if (change.slot) drawer?.touch(change.slot); },
    onStale: () => { const sub = chosen && stream.find(chosen.code, "slots"); if (sub?.synced) stream.resync(sub); },
  });
  themeButton();
  search();
  languages();
  byId("sign-out").addEventListener("click", signOut);
  byId("gate-form").addEventListener("submit", (event) => {
    event.preventDefault();
    enter(byId("gate-token").value.trim());
    byId("gate-token").value = "";
  });
  document.querySelectorAll("[data-skip]").forEach((link) => link.addEventListener("click", (event) => { event.preventDefault(); byId(link.dataset.skip).focus(); }));
  window.addEventListener("hashchange", route);
  document.addEventListener("visibilitychange", () => !document.hidden && stream.nudge());
  setInterval(tick, 1000);
  setInterval(sample, SAMPLE_MS);
  if (session.token()) enter(session.token());
  else gate("gate.title");
}
start();
