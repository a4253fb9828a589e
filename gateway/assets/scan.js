// The scan page: one text in, one word out, at once ready for the next. A scan has one id of its own however often it is
// sent. Absent: a log (the server has it), decisions of its own, an answer kept for later: plates are people's.
import { Problem, pages, request } from "./api.js";
import { feeTable, hour, isOwed, moment, money, span } from "./amounts.js";
import { Camera, canRead } from "./camera.js";
import { KINDS, kindOf, shown } from "./credential.js";
import { byId, h, options, put, t } from "./dom.js";
import { Frame } from "./frame.js";
import { insist, isPassing, newId } from "./patience.js";
import { drawPicture } from "./picture.js";
import { play } from "./sound.js";

const { session, i18n } = window.lotkeeper;
const PAST_MAX = 10;
const INSIST_SECONDS = 60; // a car does not wait longer before somebody decides by hand
const KEEP_MS = { open: 12000, deny: 60000 }; // an old OPEN must not be taken for the next car's
const STAFF = ["admin", "operator", "staff", "device"];

const remembered = (key) => session.device.get(`lotkeeper.scan.${key}`) ?? "";
const remember = (key, value) => session.device.set(`lotkeeper.scan.${key}`, value);

const lots = new Map();
const past = [];
let frame, camera;
let direction = "entry";
let corrected = null; // the kind a person has chosen for what is in the field
let current = null; // the scan whose answer the stage shows or waits for
let payment = null; // the payment that is being recorded; kept until it is known to be
let clearing;

// ---- what is asked
const field = () => byId("text");
const kind = () => corrected ?? kindOf(field().value);

function showKind() {
  const empty = !field().value.trim();
  byId("kinds").hidden = empty;
  byId("others").hidden = !empty;
  document.querySelectorAll("[data-kind]").forEach((button) => button.setAttribute("aria-pressed", String(!empty && button.dataset.kind === kind())));
  put(byId("kind-note"), empty || corrected ? "" : t("scan.guessed"));
}

function submit(event) {
  event.preventDefault();
  const text = field().value.trim();
  if (text) begin(kind(), text);
  else if (current?.state === "problem" && current.again) run(current);
}

function begin(kind, text) {
  if (!lots.has(byId("lot").value)) {
    stage("problem", { reason: t("scan.no_lot"), long: true, word: t("scan.which_lot") });
    byId("place").open = true;
    return byId("lot").focus();
  }
  remember("gate", byId("lane").value.trim());
  byId("place").open = false;
  run({ id: newId(), kind, text, lot: byId("lot").value, gate: byId("lane").value.trim(), direction, at: Date.now() });
  field().value = "";
  corrected = null;
  showKind();
}

function body(scan) {
  const credential = scan.kind === "none" ? {} : { [scan.kind]: scan.text };
  return { id: scan.id, lot: scan.lot, ...(scan.gate && { gate: scan.gate }), direction: scan.direction, credential };
}

async function run(scan) {
  current = scan;
  scan.state = "asking";
  scan.again = false;
  stage("asking", {});
  try {
    const send = () => request("/scans", { method: "POST", body: body(scan) });
    const { json } = await insist(send, { seconds: INSIST_SECONDS, givenUp: () => current !== scan, onWait: (problem, tries) => waiting(scan, tries) });
    Object.assign(scan, { state: json.decision, code: json.code, answer: json });
  } catch (problem) {
    Object.assign(scan, { state: "problem", code: problem.code ?? "error", problem, again: isPassing(problem) });
    if (problem.status === 401) frame.refused(problem);
  }
  note(scan);
  if (current === scan) settled(scan);
}

function waiting(scan, tries) {
  if (current !== scan) return;
  if (tries === 1) sound("problem");
  stage("problem", { what: name(scan), reason: t("scan.waiting", { tries }), next: t("scan.waiting_next"), long: true });
}

// ---- what is answered
const name = (scan) => (scan.kind === "none" ? "" : shown(scan.kind, scan.text));
const words = (group, code, values, otherwise) => (i18n.has(`${group}.${code}`) ? t(`${group}.${code}`, values) : otherwise);

function settled(scan) {
  sound(scan.state);
  if (scan.state === "problem") failed(scan);
  else answered(scan);
  // A keyboard on the glass would cover the answer to what the camera read.
  if (!scan.camera) field().focus();
}

function failed(scan) {
  const reason = scan.again ? t("scan.unanswered") : scan.problem instanceof Problem ? scan.problem.message : t("error.title");
  const next = scan.again ? t("scan.waiting_next") : scan.problem.status === 403 ? t("gate.not_allowed") : "";
  stage("problem", { what: name(scan), reason, next, long: true, word: t(scan.again ? "scan.problem" : "scan.fault") });
  if (scan.again) act("scan.again", () => run(scan));
}

function answered(scan) {
  const { answer } = scan;
  const zone = lots.get(scan.lot)?.time_zone;
  const values = { at: answer.not_before ? moment(answer.not_before, zone) : "", lot: lots.get(scan.lot)?.name ?? scan.lot };
  const plate = answer.session?.vehicle?.plate;
  stage(scan.state, { what: plate ?? name(scan), reason: words("code", scan.code, values, answer.detail ?? scan.code), next: words("next", scan.code, values, "") });
  facts(scan, zone);
  if (scan.code === "payment_required") owed(scan);
  else if (answer.ticket) ticket(answer);
  if (scan.code === "credential_unknown" || scan.code === "token_invalid") others(scan);
  clearTimeout(clearing);
  if (scan.code !== "payment_required" && !answer.ticket) clearing = setTimeout(() => current === scan && ready(), KEEP_MS[scan.state]);
}

function facts(scan, zone) {
  const { session: stay, due } = scan.answer;
  const fee = stay?.fee;
  const rows = [];
  if (scan.state === "open" && scan.direction === "entry") {
    if (stay?.slot) rows.push(["slot", stay.slot]);
    if (stay?.expected_exit) rows.push(["until", moment(stay.expected_exit, zone)]);
    if (stay?.request) rows.push(["request", stay.request]);
  }
  if (stay?.entered_at && scan.direction === "exit") rows.push(["stay", span(stay.entered_at, stay.left_at ?? Date.now(), zone)]);
  if (stay?.leave_by) rows.push(["leave_by", moment(stay.leave_by, zone)]);
  if (fee && scan.code !== "payment_required") rows.push(["fee", money(fee.total)]);
  if (isOwed(due) && scan.code !== "payment_required") rows.push(["due", money(due)]);
  byId("facts").replaceChildren(...rows.flatMap(([key, value]) => [h("dt", {}, t(`scan.fact_${key}`)), h("dd", { class: "number" }, value)]));
}

// Texts that fit two forms: a person looks again and says which it is.
function others(scan) {
  for (const kind of KINDS.filter((one) => one !== scan.kind && one !== "qr")) {
    if (scan.kind !== "qr") act(`scan.try_${kind}`, () => begin(kind, scan.text));
  }
}

function ticket(answer) {
  put(byId("what"), answer.ticket);
  act("scan.next_car", ready);
  if (answer.session) drawPicture(byId("ticket"), `/sessions/${answer.session.id}/ticket?format=png`).catch(() => put(byId("next"), t("scan.no_picture")));
}

// ---- paying
function owed(scan) {
  const { due, session: stay } = scan.answer;
  const fee = stay?.fee ?? stay?.fee_so_far;
  byId("due").hidden = byId("pay").hidden = !due;
  if (!due) return;
  put(byId("due"), money(due));
  byId("lines").hidden = !fee;
  byId("lines").open = false;
  if (fee) byId("fee").replaceChildren(feeTable(fee));
  if (payment?.scan.answer.session?.id !== stay?.id) payment = null;
}

// What is recorded is what the button's amount said, though the clock goes on meanwhile.
async function pay(method) {
  const scan = current;
  const { session: stay, due } = scan?.answer ?? {};
  if (!stay || !due || scan.code !== "payment_required") return;
  const shift = byId("shift").value.trim();
  remember("shift", shift);
  if (payment?.method !== method || payment.due.amount !== due.amount) payment = { id: newId(), method, due, scan };
  const buttons = [byId("cash"), byId("terminal")];
  buttons.forEach((button) => { button.disabled = true; });
  try {
    const body = { id: payment.id, method, amount: due, ...(shift && { shift }) };
    await insist(() => request(`/sessions/${stay.id}/payments`, { method: "POST", body }), { seconds: INSIST_SECONDS / 2 });
    payment = null;
    const { kind, text, lot, gate, direction: way } = scan;
    if (current === scan) run({ id: newId(), kind, text, lot, gate, direction: way, at: Date.now() });
  } catch (problem) {
    if (!isPassing(problem)) payment = null;
    if (frame.refused(problem) || current !== scan) return;
    put(byId("next"), isPassing(problem) ? t("scan.payment_unknown") : `${t("scan.payment_failed")} ${problem.message}`);
    put(byId("say"), byId("next").textContent);
    sound("problem");
  } finally { buttons.forEach((button) => { button.disabled = false; }); }
}

// ---- the stage
function stage(state, { what = "", reason = "", next = "", long = false, word = t(`scan.${state}`) }) {
  clearTimeout(clearing);
  byId("stage").dataset.state = state;
  put(byId("word"), word);
  byId("word").toggleAttribute("data-long", long);
  put(byId("what"), what);
  put(byId("reason"), reason);
  put(byId("next"), next);
  byId("due").hidden = byId("pay").hidden = byId("ticket").hidden = true;
  byId("facts").replaceChildren();
  byId("acts").replaceChildren();
  if (state !== "asking" && state !== "ready") put(byId("say"), [`${word}.`, what && `${what}.`, reason, next].filter(Boolean).join(" "));
}

function act(key, action) {
  byId("acts").append(h("button", { type: "button", onclick: action }, t(key)));
}

function ready() {
  current = null;
  stage("ready", { reason: lots.size ? t("scan.ready_text") : "" });
}

function note(scan) {
  if (!past.includes(scan)) past.unshift(scan);
  past.length = Math.min(past.length, PAST_MAX);
  byId("past-none").hidden = past.length > 0;
  byId("past").replaceChildren(...past.map((one) => {
    const shape = document.querySelector(`.signs .of-${one.state}`).cloneNode(true);
    const why = one.state === "problem" ? t(one.again ? "scan.unanswered" : "error.title") : words("code", one.code, { at: one.answer.not_before ? hour(one.answer.not_before) : "", lot: one.lot }, one.code);
    const who = one.answer?.ticket ?? (name(one) || t("scan.ticket"));
    return h("li", { "data-state": one.state, "data-code": one.code }, h("time", { class: "number" }, hour(one.at)), shape, h("b", {}, `${t(`scan.${one.state === "problem" && !one.again ? "fault" : one.state}`)} · ${who}`), h("span", { class: "why" }, why));
  }));
}

function sound(name) {
  if (remembered("sound") !== "off") play(name);
}

// ---- what is remembered
function placed() {
  const lot = lots.get(byId("lot").value);
  put(byId("place-name"), [lot?.name ?? t("scan.choose_lot"), lot && byId("lane").value.trim()].filter(Boolean).join(" · "));
  byId("place").open ||= !lot;
}

function turn(way) {
  direction = way;
  remember("direction", way);
  byId("entry").setAttribute("aria-pressed", String(way === "entry"));
  byId("exit").setAttribute("aria-pressed", String(way === "exit"));
  byId("give").hidden = way === "exit";
  byId("lost").hidden = way === "entry";
}

function muting() {
  const button = byId("sound");
  const show = () => {
    const on = remembered("sound") !== "off";
    put(button, "♪");
    button.setAttribute("aria-pressed", String(on));
    button.setAttribute("aria-label", t("scan.sound"));
    button.title = t(on ? "scan.sound_on" : "scan.sound_off");
  };
  button.addEventListener("click", () => { remember("sound", remembered("sound") === "off" ? "" : "off"); show(); sound("open"); });
  show();
}

async function loadLots() {
  try {
    await pages("/lots?", (items) => items.forEach((lot) => lots.set(lot.code, lot)));
    banner("");
  } catch (problem) {
    if (frame.refused(problem)) return;
    banner(problem.status === 0 ? t("error.unreachable") : problem.message);
    if (problem.status === 0) setTimeout(loadLots, 3000);
    return;
  }
  const pairs = [...lots.values()].map((lot) => [lot.code, lot.name]);
  const wanted = session.options.lot ?? remembered("lot");
  const choose = lots.size !== 1 && !lots.has(wanted);
  options(byId("lot"), choose ? [["", t("scan.choose_lot")], ...pairs] : pairs);
  byId("lot").value = choose ? "" : lots.has(wanted) ? wanted : pairs[0][0];
  placed();
  ready();
  if (!lots.size) stage("problem", { reason: t("lots.none"), long: true, word: t("gate.nothing") });
  (choose && lots.size ? byId("lot") : field()).focus();
}

function banner(text) {
  byId("banner").hidden = !text;
  put(byId("banner"), text);
}

// What a hand scanner types belongs into the field wherever the focus was left.
function typed(event) {
  if (event.key.length !== 1 || event.key === " " || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!event.target.closest("input, select, .gate")) field().focus();
}

// ---- the camera
async function lookAround() {
  if (!(await canRead())) return;
  const button = byId("look");
  button.hidden = false;
  camera = new Camera(byId("video"), {
    onText: (text) => { begin(kindOf(text) === "ticket" ? "ticket" : "qr", text); if (current) current.camera = true; },
    onEnd: (reason) => {
      byId("video").hidden = true;
      button.setAttribute("aria-pressed", "false");
      banner(reason ? t(reason) : "");
    },
  });
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-pressed") === "true") return camera.stop();
    button.setAttribute("aria-pressed", "true");
    byId("video").hidden = false;
    camera.start();
  });
}

async function start() {
  await i18n.load(["stay", "gate"]);
  frame = new Frame({ roles: STAFF, onEnter: loadLots });
  muting();
  turn(["entry", "exit"].find((way) => way === (session.options.direction ?? remembered("direction"))) ?? "entry");
  byId("lane").value = session.options.gate ?? remembered("gate");
  byId("shift").value = remembered("shift");
  byId("form").addEventListener("submit", submit);
  field().addEventListener("input", () => { if (!field().value.trim()) corrected = null; showKind(); });
  document.querySelectorAll("[data-kind]").forEach((button) => button.addEventListener("click", () => { corrected = button.dataset.kind; showKind(); field().focus(); }));
  byId("lot").addEventListener("change", () => { remember("lot", byId("lot").value); placed(); ready(); });
  byId("lane").addEventListener("change", () => { remember("gate", byId("lane").value.trim()); placed(); });
  for (const way of ["entry", "exit"]) byId(way).addEventListener("click", () => { turn(way); field().focus(); });
  byId("give").addEventListener("click", () => begin("none", ""));
  for (const method of ["cash", "terminal"]) byId(method).addEventListener("click", () => pay(method));
  addEventListener("offline", () => banner(t("scan.offline")));
  addEventListener("online", () => banner(""));
  document.addEventListener("keydown", typed);
  lookAround();
  frame.begin();
}
start();
