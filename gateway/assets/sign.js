// The sign: one lot, one number, readable from 30 m in a second.
// Invariants: a number is shown only while the stream is proved alive (dims after 30 s, a dash after 60 s, whatever the
// socket claims); every box keeps its place when numbers change; nothing grows, so it runs for months.
// Old syntax on purpose (no modules, no ?. or ??): the screen may be a ten-year-old box.
// Deliberately absent: reservations, prices, any input besides the token.
(function () {
  "use strict";
  const session = window.lotkeeper.session;
  const i18n = window.lotkeeper.i18n;
  const t = i18n.t;
  const DIM_MS = 30000; // two ping times
  const BLANK_MS = 60000;
  const DOWN_MS = 3000; // a connection lost for less than this is not worth a passer-by's attention
  const LOW_SHARE = 0.05;
  const SAY_MS = 15000; // a screen reader hears changes at most this often
  const REFUSED_RETRY_MS = 60000; // nobody stands here to press a button when the server's key is mended
  const LOT_RETRY_MS = 30000;
  const RELOAD_SPREAD_MS = 20000; // signs of one house do not all reload in the same second
  const SIZES = ["motorcycle", "compact", "standard", "large", "oversized"];
  const ARROWS = ["left", "right", "ahead"];

  const path = location.pathname.split("/"); // "", "sign", tenant, lot
  const tenant = decode(path[2]);
  const lotCode = decode(path[3]);
  const el = {};
  ["sign", "name", "clock", "hero", "arrow", "free", "word", "zones", "types", "gate", "gate-title", "gate-text", "gate-form", "gate-token",
    "live", "state-word", "age", "say"].forEach(function (id) { el[id] = document.getElementById(id); });

  let stream = null;
  let sub = null;
  let lot = null; // names and time zone; null until the server told
  let counts = null;
  let refused = ""; // text key of a reason why there is nothing to show
  let serverAhead = 0; // the box's own clock may be wrong by hours
  let clockFormat = null;
  let version = null;
  let reloading = false;
  let drawn = ""; // what the hero shows, so that equal frames touch nothing
  let said = { at: -Infinity, text: "" };
  let lotTimer = null;
  const pen = document.createElement("canvas").getContext("2d");

  function decode(part) {
    try { return decodeURIComponent(part || ""); } catch (malformed) { return part || ""; }
  }
  function put(node, text) { if (node.textContent !== text) node.textContent = text; }
  function mark(node, name, value) {
    if (value === null) { if (node.hasAttribute(name)) node.removeAttribute(name); }
    else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  function getJson(address) {
    const token = session.token();
    return fetch(address, { cache: "no-store", headers: token ? { Authorization: "Bearer " + token } : {} }).then(function (answer) {
      if (!answer.ok) throw new Error(address + ": " + answer.status);
      return answer.json();
    });
  }

  // ---- what the counts mean
  // A lot of which nothing is known has no number: not 0, not the last one.
  function reading(c) {
    const known = c.capacity - c.unknown;
    if (!(known > 0)) return { mode: "dash", word: "sign.no_count" };
    if (c.out_of_service >= c.capacity) return { mode: "closed", word: "sign.closed" };
    if (c.free <= 0) return { mode: "full", word: "sign.full" };
    if (c.free < c.capacity * LOW_SHARE) return { mode: "low", word: "sign.low" };
    return { mode: "free", word: "sign.free" };
  }

  function liveness() {
    const age = stream ? stream.age(sub) : Infinity;
    let state = "live";
    if (!counts || age >= BLANK_MS) state = !counts && !refused && stream && stream.now() < BLANK_MS ? "reconnecting" : "stale";
    else if (age >= DIM_MS) state = "reconnecting";
    else if (stream.downSince !== null && stream.now() - stream.downSince >= DOWN_MS) state = "reconnecting";
    return { age: age, state: state };
  }

  // ---- drawing
  function draw() {
    const now = liveness();
    mark(el.live, "data-state", now.state);
    put(el["state-word"], t("state." + (!counts && now.state === "reconnecting" ? "connecting" : now.state)));
    put(el.age, age(now.age));
    drawClock();
    const gated = refused !== "" && now.state !== "live";
    if (el.gate.hidden === gated) { el.gate.hidden = !gated; fit(); }
    if (gated) return mark(el.sign, "data-mode", "gate");
    drawHero(now);
  }

  function drawHero(now) {
    const shown = now.state !== "stale" && counts !== null;
    const meaning = shown ? reading(counts) : { mode: now.state === "stale" ? "dash" : "waiting", word: now.state === "stale" ? "sign.no_data" : "" };
    const figure = meaning.mode === "free" || meaning.mode === "low";
    const big = figure ? String(counts.free) : meaning.mode === "full" || meaning.mode === "closed" ? t(meaning.word).toUpperCase() : "–";
    const word = meaning.mode === "full" || meaning.mode === "closed" || !meaning.word ? "" : t(meaning.word);
    const digits = figure ? Math.max(String(counts.capacity).length, big.length) : 0;
    mark(el.sign, "data-mode", meaning.mode);
    mark(el.sign, "data-dim", shown && now.state === "reconnecting" ? "" : null);
    put(el.free, big);
    const key = [meaning.mode, digits, figure ? "" : big, word].join("|");
    if (key !== drawn) { drawn = key; setWord(word); fit(); }
    drawLines(shown);
    say(now, figure ? big + " " + word : word || big);
  }

  // Words of a warning stand on two lines, so that they never squeeze the number.
  function setWord(text) {
    el.word.textContent = "";
    if (text) text.split(" ").forEach(function (part, at) {
      if (at > 0) el.word.appendChild(document.createTextNode(" "));
      const line = document.createElement("span");
      line.textContent = part;
      el.word.appendChild(line);
    });
  }

  function width(text, weight) {
    pen.font = (weight || 700) + " 100px " + getComputedStyle(el.free).fontFamily;
    return pen.measureText(text).width / 100;
  }

  // Sizes hang on the number of digits of the capacity, never on the number itself: 100 -> 99 moves nothing.
  function fit() {
    const high = window.innerHeight;
    const wide = window.innerWidth;
    const upright = wide < high * 1.15;
    mark(el.sign, "data-shape", upright ? "upright" : "wide");
    const parts = drawn.split("|");
    const digits = Number(parts[1]) || 0;
    const big = digits ? new Array(digits + 1).join("0") : parts[2] || "–";
    // Beside a number both words have room, so "few left" does not move it either.
    const words = (digits ? t("sign.free") + " " + t("sign.low") : parts[3] || "").toUpperCase().split(" ");
    const longest = Math.max.apply(null, words.map(function (word) { return width(word); }));
    const room = wide * 0.94;
    const arrow = el.arrow.hasAttribute("hidden") ? 0 : upright ? 0 : high * 0.35;
    const wordSize = Math.min(high * (upright ? 0.09 : digits ? 0.12 : 0.09), room * (upright ? 1 : 0.3) / Math.max(longest, 0.1));
    const beside = upright || !longest ? 0 : longest * wordSize + high * 0.04;
    // 0.6 em of line is what digits need: the box of 45 % of the height is filled by them.
    const size = Math.min(high * (upright ? 0.36 : 0.6), (room - arrow - beside) / width(big));
    el.word.style.fontSize = wordSize + "px";
    el.word.style.width = Math.ceil(longest * wordSize) + "px";
    el.free.style.fontSize = size + "px";
    el.free.style.width = Math.ceil(width(big) * size) + "px";
  }

  function drawLines(shown) {
    const zones = session.options.zones === "1" && lot && lot.zones ? lot.zones : [];
    const zoneCounts = (shown && counts.by_zone) || {};
    lines(el.zones, zones.filter(function (zone) { return !counts || !counts.by_zone || counts.by_zone[zone.code]; }).map(function (zone) {
      return { key: zone.code, name: zone.name || zone.code, counts: zoneCounts[zone.code] };
    }));
    const types = counts && session.options.zones !== "0" ? counts.by_type || {} : {};
    lines(el.types, Object.keys(types).filter(function (key) { return SIZES.indexOf(key) < 0; }).sort().map(function (key) {
      const name = i18n.has("feature." + key) ? t("feature." + key) : key.charAt(0).toUpperCase() + key.slice(1).replace(/_/g, " ");
      return { key: key, name: name, counts: shown ? types[key] : null };
    }));
  }

  // Rows are made once per list of names; afterwards only their numbers change.
  function lines(list, rows) {
    const shape = rows.map(function (row) { return row.key + "=" + row.name; }).join("|");
    if (list.getAttribute("data-rows") !== shape) {
      list.setAttribute("data-rows", shape);
      list.textContent = "";
      rows.forEach(function (row) {
        const item = document.createElement("li");
        const name = document.createElement("span");
        const value = document.createElement("b");
        name.textContent = row.name;
        item.appendChild(name);
        item.appendChild(value);
        list.appendChild(item);
      });
      trim(list);
    }
    rows.forEach(function (row, at) {
      const value = list.children[at].lastChild;
      const known = row.counts && row.counts.capacity - row.counts.unknown > 0;
      put(value, !known ? "–" : row.counts.free > 0 ? String(row.counts.free) : t("sign.full"));
      mark(value, "class", !known ? "dash" : row.counts.free > 0 ? null : "none");
      value.style.minWidth = row.counts ? String(row.counts.capacity).length + 0.4 + "ch" : "";
    });
    mark(list, "aria-hidden", rows.length ? null : "true");
  }

  // A line that does not fit whole is left out, never cut in half.
  function trim(list) {
    const box = list.getBoundingClientRect();
    Array.prototype.forEach.call(list.children, function (item) {
      item.style.visibility = item.getBoundingClientRect().bottom > box.bottom + 1 ? "hidden" : "";
    });
  }

  function age(ms) {
    if (ms === Infinity) return "–";
    const s = Math.floor(ms / 1000);
    if (s < 120) return s + " s";
    if (s < 7200) return Math.floor(s / 60) + " min";
    return Math.floor(s / 3600) + " h";
  }

  function drawClock() {
    if (!clockFormat) clockFormat = makeClock(lot && lot.time_zone) || makeClock();
    put(el.clock, clockFormat.format(new Date(Date.now() + serverAhead)).replace(/^24/, "00"));
  }
  function makeClock(zone) {
    try {
      return new Intl.DateTimeFormat(i18n.lang, { hour: "2-digit", minute: "2-digit", hour12: false, timeZone: zone || undefined });
    } catch (unknownZone) { return null; }
  }

  function say(now, text) {
    const whole = (lot ? lot.name : lotCode) + ": " + text + ". " + t("state." + now.state) + ".";
    if (whole === said.text || stream.now() - said.at < SAY_MS) return;
    said = { at: stream.now(), text: whole };
    put(el.say, whole);
  }

  // ---- the server
  function receive(message, of) {
    if (message.at) serverAhead = Date.parse(message.at) - Date.now() || 0;
    if (message.op === "counts" && of === sub) { counts = message; refused = ""; }
    if (message.op === "error" && of === sub) {
      refuse(message.code === "lot_not_found" ? "gate.lot_not_found" : "gate.not_allowed");
      clearTimeout(lotTimer);
      lotTimer = setTimeout(function () { stream.connect(); }, LOT_RETRY_MS);
    }
    draw();
  }

  function state(now) {
    if (now.name === "refused") refuse(now.code === 4403 ? "gate.not_allowed" : "gate.token_refused");
    if (now.name === "live") { checkVersion(); loadLot(); }
    draw();
  }

  function refuse(key) {
    refused = key;
    counts = null;
    el["gate-text"].hidden = key === "gate.title";
    put(el["gate-title"], t(key === "gate.title" ? key : "gate.nothing"));
    put(el["gate-text"], t(key, { lot: lotCode, tenant: tenant }));
  }

  function loadLot() {
    getJson("/api/v1/lots/" + encodeURIComponent(lotCode)).then(function (answer) {
      lot = answer;
      clockFormat = null;
      put(el.name, lot.name);
      document.title = lot.name + " · Lotkeeper";
      draw();
    }).catch(function () { /* the code stands in for the name; asked again at the next reconnect */ });
  }

  // After an update of the server the page fetches itself anew, once it is sure that there is a page to fetch.
  function checkVersion() {
    getJson("/assets/build.json").then(function (answer) {
      const found = answer.version + " " + answer.build;
      if (version === null) version = found;
      if (found === version || reloading) return;
      reloading = true;
      setTimeout(function () {
        fetch(location.pathname, { cache: "no-store" }).then(function (page) {
          reloading = false;
          if (page.ok) location.reload();
        }, function () { reloading = false; });
      }, Math.random() * RELOAD_SPREAD_MS);
    }).catch(function () { /* asked again at the next reconnect */ });
  }

  function keepAwake() {
    if (navigator.wakeLock && document.visibilityState === "visible") navigator.wakeLock.request("screen").catch(function () { /* not granted: the screen's own setting rules */ });
  }

  function open() {
    const token = session.token();
    if (stream) stream.stop();
    refused = "";
    const claims = token ? session.claims(token) : {};
    stream = new window.lotkeeper.Stream({
      token: token, probe: "/api/v1/lots/" + encodeURIComponent(lotCode), retryRefusedMs: REFUSED_RETRY_MS, onMessage: receive, onState: state,
    });
    sub = stream.subscribe(lotCode, "counts");
    if (!token) refuse("gate.title");
    else if (claims.tenant && claims.tenant !== tenant) refuse("gate.other_tenant");
    else stream.start();
    draw();
  }

  function start() {
    const to = session.options.arrow;
    if (ARROWS.indexOf(to) >= 0) { el.arrow.removeAttribute("hidden"); mark(el.arrow, "data-to", to); mark(el.hero, "data-to", to); }
    put(el.name, lotCode);
    el["gate-form"].addEventListener("submit", function (event) {
      event.preventDefault();
      session.setToken(el["gate-token"].value.trim());
      el["gate-token"].value = "";
      open();
    });
    window.addEventListener("resize", function () { fit(); trim(el.zones); trim(el.types); });
    document.addEventListener("visibilitychange", keepAwake);
    keepAwake();
    open();
    setInterval(draw, 1000);
  }

  // Without texts the page waits with a dash rather than show keys.
  function begin() { i18n.load().then(start, function () { setTimeout(begin, 3000); }); }
  begin();
})();
