// Client of the websocket in docs/stream.md, for the sign, the console and the booking page.
// Invariants: entries reach the page once and in order of seq, or the lot starts again from a snapshot; an age is only
// renewed by a message that proves *this* subscription is being served; nothing here grows with time.
// Classic script in old syntax: the sign knows no modules. Absent: lot state (the pages keep it), fetching tokens.
(function (root) {
  "use strict";
  const lotkeeper = (root.lotkeeper = root.lotkeeper || {});
  const SILENCE_MS = 30000; // two ping times: a half-open connection looks like this
  const OPEN_MS = 10000; // a connection that does not open in this time is given up
  const BACKOFF_MIN_MS = 500;
  const BACKOFF_MAX_MS = 30000;
  const SLOW_DOWN_MS = 5000; // least wait after 4429
  const HINT_MAX_MS = 300000; // a longer hint is taken for a mistake
  const SLEEP_MS = 10000; // the wall clock ran this much further than the monotonic one: the machine slept
  const PACE_MESSAGES = 10; // sent at once; the rest in steps: 40 a second, where a server allows 50
  const PACE_MS = 250;

  class Stream {
    // options: token, probe (path that tells why a handshake failed), retryRefusedMs (0 = wait for a new token),
    // onMessage(message, subscription), onState({name, code, reason, retryMs})
    constructor(options) {
      this.options = options;
      this.token = options.token;
      this.state = "idle"; // idle | connecting | live | waiting | refused
      this.downSince = null; // when the last connection was lost, for pages that show it
      this.subs = [];
      this.nextId = 1;
      this.attempt = 0;
      this.round = 0; // one per connection attempt, so that late answers of an earlier one are ignored
      this.slept = 0;
      this.lastMessage = this.now();
      this.outbox = [];
      this.wall = Date.now();
      this.mono = performance.now();
    }

    // Monotonic time that also counts the time the machine slept, which performance.now leaves out on some systems.
    now() { return performance.now() + this.slept; }

    // How old what we know of a subscription is; Infinity before its first message.
    age(sub) { return sub && sub.proved !== null ? this.now() - sub.proved : Infinity; }

    start() {
      this.stop();
      this.watch = setInterval(() => this.look(), 1000);
      this.online = () => this.nudge();
      root.addEventListener("online", this.online);
      this.connect();
    }

    stop() {
      clearInterval(this.watch);
      root.removeEventListener("online", this.online);
      this.drop();
      this.state = "idle";
    }

    subscribe(lot, view) {
      let sub = this.find(lot, view);
      if (!sub) {
        sub = { lot: lot, code: lot, view: view, id: 0, epoch: null, seq: 0, synced: false, proved: null, error: null };
        this.subs.push(sub);
        if (this.isOpen()) this.ask(sub);
      }
      return sub;
    }

    unsubscribe(lot, view) {
      const sub = this.find(lot, view);
      if (!sub) return;
      this.subs.splice(this.subs.indexOf(sub), 1);
      if (this.isOpen()) this.queue({ op: "unsubscribe", id: this.nextId++, lot: sub.lot, view: view });
    }

    // Renews in place where the socket is open, else starts over with the new token.
    renew(token) {
      this.token = token;
      if (this.isOpen()) this.queue({ op: "token", token: token });
      else { this.drop(); this.attempt = 0; this.connect(); }
    }

    // The network is back, or a person looks: do not sit out a long wait.
    nudge() {
      if (this.state !== "waiting") return;
      clearTimeout(this.retry);
      this.retry = setTimeout(() => this.connect(), Math.random() * 1000);
    }

    find(lot, view) {
      return this.subs.find((sub) => sub.view === view && (sub.lot === lot || sub.code === lot)) || null;
    }

    isOpen() { return !!this.socket && this.socket.readyState === 1; }

    tell(name, detail) {
      if (name !== "live" && this.state === "live") this.downSince = this.now();
      this.state = name;
      if (this.options.onState) this.options.onState(Object.assign({ name: name }, detail));
    }

    connect() {
      this.drop();
      this.round += 1;
      this.tell("connecting");
      const address = location.protocol.replace("http", "ws") + "//" + location.host + "/api/v1/stream";
      let socket;
      try { socket = new WebSocket(address, ["bearer." + this.token]); } catch (notAToken) { return this.refuse(4401, "token_invalid"); }
      this.socket = socket;
      this.connecting = this.now();
      this.opened = false;
      socket.onopen = () => {
        this.opened = true;
        this.lastMessage = this.now();
        this.downSince = null;
        this.tell("live");
        this.subs.forEach((sub) => this.ask(sub));
      };
      socket.onmessage = (event) => this.receive(event.data);
      socket.onclose = (event) => this.closed(event.code, event.reason || "");
    }

    // Lets go of the socket at once; close() alone can hang for minutes on a dead network.
    drop() {
      clearTimeout(this.retry);
      clearTimeout(this.pacer);
      this.outbox = [];
      this.pacer = null;
      const socket = this.socket;
      this.socket = null;
      this.subs.forEach((sub) => { sub.synced = false; });
      if (!socket) return;
      socket.onopen = socket.onmessage = socket.onclose = null;
      try { socket.close(); } catch (alreadyGone) { /* nothing left to close */ }
    }

    closed(code, reason) {
      const opened = this.opened;
      this.drop();
      if (code === 4401 || code === 4403) return this.refuse(code, reason);
      const hint = /retry_after_ms=(\d+)/.exec(reason);
      if (code === 4503 && hint) {
        const ms = Math.min(Number(hint[1]), HINT_MAX_MS);
        return this.wait(ms + Math.random() * Math.max(ms, 1000), code, reason);
      }
      if (code === 4429) return this.wait(SLOW_DOWN_MS + this.backoff(), code, reason);
      if (opened) return this.wait(this.backoff(), code, reason);
      this.probe(code, reason);
    }

    // A browser does not tell why a handshake failed; a plain request with the same token does.
    probe(code, reason) {
      const wait = this.backoff();
      const round = this.round;
      let settled = false;
      const settle = (status) => {
        if (settled || this.round !== round || this.state !== "connecting") return;
        settled = true;
        if (status === 401 || status === 403) this.refuse(status === 401 ? 4401 : 4403, reason);
        else this.wait(wait, code, reason);
      };
      fetch(this.options.probe || "/api/v1/lots?limit=1", { headers: { Authorization: "Bearer " + this.token }, cache: "no-store" })
        .then((answer) => settle(answer.status), () => settle(0));
      setTimeout(() => settle(0), OPEN_MS);
    }

    refuse(code, reason) {
      this.tell("refused", { code: code, reason: reason });
      const again = this.options.retryRefusedMs;
      if (again) this.retry = setTimeout(() => this.connect(), again * (1 + Math.random()));
    }

    wait(ms, code, reason) {
      this.tell("waiting", { code: code, reason: reason, retryMs: ms });
      this.retry = setTimeout(() => this.connect(), ms);
    }

    // Doubles, and spreads over the upper half, so that a thousand signs do not return in one second.
    backoff() {
      const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * Math.pow(2, Math.min(this.attempt, 16)));
      this.attempt += 1;
      return ceiling / 2 + (Math.random() * ceiling) / 2;
    }

    // Once a second: a silent socket, one that never opens, a machine that slept.
    look() {
      const wall = Date.now();
      const mono = performance.now();
      const gap = wall - this.wall - (mono - this.mono);
      this.wall = wall;
      this.mono = mono;
      if (gap > SLEEP_MS) this.slept += gap;
      if (!this.socket) return;
      const silent = this.opened ? this.now() - this.lastMessage > SILENCE_MS : this.now() - this.connecting > OPEN_MS;
      if (!silent) return;
      this.drop();
      this.wait(this.backoff(), 0, "silent");
    }

    ask(sub) {
      sub.id = this.nextId++;
      sub.synced = false;
      sub.error = null;
      const message = { op: "subscribe", id: sub.id, lot: sub.lot, view: sub.view };
      if (sub.view !== "counts" && sub.epoch !== null) message.after = { epoch: sub.epoch, seq: sub.seq };
      this.queue(message);
    }

    queue(message) {
      this.outbox.push(message);
      if (!this.pacer) this.drain();
    }

    drain() {
      this.pacer = null;
      for (let i = 0; i < PACE_MESSAGES && this.outbox.length && this.isOpen(); i++) this.socket.send(JSON.stringify(this.outbox.shift()));
      if (this.outbox.length) this.pacer = setTimeout(() => this.drain(), PACE_MS);
    }

    // Forget what we have of this lot and begin with a snapshot.
    resync(sub) {
      sub.epoch = null;
      this.queue({ op: "unsubscribe", id: this.nextId++, lot: sub.lot, view: sub.view });
      this.ask(sub);
    }

    receive(text) {
      let message;
      try { message = JSON.parse(text); } catch (notJson) { this.drop(); return this.wait(this.backoff(), 0, "not JSON"); }
      this.lastMessage = this.now();
      if (message.op === "ping") this.ping(message);
      else if (message.op === "subscribed" || message.op === "error") this.answered(message);
      else if (message.op === "snapshot" || message.op === "counts") this.whole(message);
      else if (message.op === "changes") this.changes(message);
      else if (message.op === "reservations") (message.whole ? this.whole : this.own).call(this, message);
      else this.options.onMessage(message, null);
    }

    // A ping proves a subscription only when it names its lot and data has come over this very socket.
    ping(message) {
      if (this.isOpen()) this.socket.send('{"op":"pong"}');
      const lots = message.lots || {};
      this.subs.forEach((sub) => { if (sub.synced && lots[sub.code] !== undefined) sub.proved = this.now(); });
      this.attempt = 0;
      this.options.onMessage(message, null);
    }

    answered(message) {
      const sub = this.subs.find((one) => one.id === message.id) || null;
      if (sub && message.op === "error") sub.error = message.code;
      if (sub && message.op === "subscribed") {
        sub.code = message.lot;
        if (message.recovered && sub.epoch === message.epoch) { sub.synced = true; sub.proved = this.now(); this.attempt = 0; }
        else if (sub.view !== "counts") sub.epoch = null;
      }
      this.options.onMessage(message, sub);
    }

    whole(message) {
      const sub = this.find(message.lot, message.op === "snapshot" ? "slots" : message.op);
      if (!sub) return;
      sub.epoch = message.epoch;
      sub.seq = message.seq;
      sub.synced = true;
      sub.proved = this.now();
      this.attempt = 0;
      this.options.onMessage(message, sub);
    }

    // What changed of one's own, as it is now; between two of them nothing did.
    own(message) {
      const sub = this.find(message.lot, "reservations");
      if (!sub || !sub.synced) return;
      if (message.epoch !== sub.epoch) return this.resync(sub);
      sub.seq = message.seq;
      sub.proved = this.now();
      this.options.onMessage(message, sub);
    }

    changes(message) {
      const sub = this.find(message.lot, "slots");
      if (!sub || !sub.synced) return; // left over from before an unsubscribe
      if (message.epoch !== sub.epoch || message.from > sub.seq + 1) return this.resync(sub);
      sub.proved = this.now();
      if (message.seq <= sub.seq) return;
      const seen = sub.seq;
      sub.seq = message.seq;
      if (message.from <= seen) message.changes = message.changes.filter((change) => change.seq > seen);
      this.options.onMessage(message, sub);
    }
  }

  lotkeeper.Stream = Stream;
})(window);
