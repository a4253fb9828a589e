// Changes per second over all watched lots, counted in sequence numbers (right even where only counts are subscribed),
// and the lag: from the server's stamp to the arrival here, less the smallest seen, because two clocks never agree.
const WINDOW_MS = 5000;

export class Meter {
  constructor() {
    this.seqs = new Map();
    this.steps = []; // [time, number of changes]
    this.least = Infinity;
    this.lagMs = null;
    this.lagAt = -Infinity;
  }

  see(message) {
    if (message.op === "ping") for (const [lot, seq] of Object.entries(message.lots ?? {})) this.advance(lot, null, seq);
    else if (message.lot && message.seq !== undefined && message.op !== "subscribed") this.advance(message.lot, message.epoch, message.seq, message.op === "snapshot");
    const at = message.op === "changes" ? message.changes[message.changes.length - 1]?.at : message.op === "ping" ? message.at : null;
    if (at) this.delay(Date.now() - Date.parse(at));
  }

  advance(lot, epoch, seq, reset) {
    const last = this.seqs.get(lot);
    const sameEpoch = last && (epoch === null || last.epoch === epoch);
    if (sameEpoch && !reset && seq > last.seq) this.steps.push([performance.now(), seq - last.seq]);
    if (!sameEpoch || seq > last.seq) this.seqs.set(lot, { epoch: epoch ?? last?.epoch ?? null, seq });
  }

  delay(raw) {
    if (!Number.isFinite(raw)) return;
    this.least = Math.min(this.least, raw);
    const late = raw - this.least;
    this.lagMs = this.lagMs === null ? late : this.lagMs * 0.8 + late * 0.2;
    this.lagAt = performance.now();
  }

  rate() {
    const now = performance.now();
    while (this.steps.length && now - this.steps[0][0] > WINDOW_MS) this.steps.shift();
    return Math.round(this.steps.reduce((sum, [, n]) => sum + n, 0) / (WINDOW_MS / 1000));
  }

  seq(lot) { return this.seqs.get(lot)?.seq ?? null; }

  // After a break the old counts would look like a burst of changes in one second.
  pause() { this.seqs.clear(); this.steps = []; }
}
