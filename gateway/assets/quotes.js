// Prices of stays, a few requests at a time, each asked for once in a while. Absent: guessing a price.
import { request } from "./api.js";

const AT_ONCE = 4;
const FRESH_MS = 20000;
const known = new Map();
const queue = [];
let running = 0;

function next() {
  if (running >= AT_ONCE || !queue.length) return;
  running += 1;
  const { body, resolve, reject } = queue.shift();
  request("/quotes", { method: "POST", body }).then(({ json }) => resolve(json), reject).finally(() => { running -= 1; next(); });
  next();
}

// What a stay costs and how many places are left for it: `{ price, free }`.
export function quote(lot, window) {
  const key = [lot, window.from, window.to].join(" ");
  const found = known.get(key);
  if (found && performance.now() - found.at < FRESH_MS) return found.answer;
  const answer = new Promise((resolve, reject) => { queue.push({ body: { lot, ...window }, resolve, reject }); });
  for (const [old, { at }] of known) if (performance.now() - at >= FRESH_MS) known.delete(old);
  known.set(key, { answer, at: performance.now() });
  answer.catch(() => known.delete(key));
  next();
  return answer;
}

// After a hold was made or lost the counts are others.
export const forget = () => known.clear();
