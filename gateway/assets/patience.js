// Requests whose outcome must be known: repeated with the same id until somebody answers, so that a lost answer does
// nothing twice. Absent: a memory of what was not answered before the page was closed.
import { Problem } from "./api.js";
import { t } from "./dom.js";

const ANSWER_MS = 8000; // a gate's answer that takes longer is as good as none
const PAUSE_MS = 500;
const PAUSE_MS_MAX = 4000;
const PASSING = [0, 502, 503, 504];

// Not a refusal: the same request may be answered a moment later.
export const isPassing = (problem) => PASSING.includes(problem.status) || problem.code === "request_in_progress";

function answered(promise) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Problem(0, "unreachable", t("error.unreachable"))), ANSWER_MS); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// `givenUp` is asked before each further try, `onWait` hears of each one that failed and how many there were.
export async function insist(send, { seconds, givenUp = () => false, onWait = () => {} }) {
  const end = performance.now() + seconds * 1000;
  for (let tries = 1; ; tries++) {
    try { return await answered(send()); }
    catch (problem) {
      if (!isPassing(problem) || givenUp() || performance.now() > end) throw problem;
      onWait(problem, tries);
      const pause = Math.min(PAUSE_MS * 2 ** (tries - 1), PAUSE_MS_MAX) * (0.75 + Math.random() / 2);
      await new Promise((resolve) => setTimeout(resolve, pause));
      if (givenUp()) throw problem;
    }
  }
}

// randomUUID is there on https and localhost only; a phone may well reach the server by its address in the house.
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
