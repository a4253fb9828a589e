// What this page has seen of a lot: the last minutes, and a curve since the page opened. Invariant: fixed memory; a full
// curve halves its resolution, so it always reaches back to the beginning.
export const SPARK_POINTS = 60; // ten minutes at a sample each ten seconds
const CURVE_POINTS = 240;
export const SAMPLE_MS = 10000;

export class History {
  constructor() {
    this.spark = [];
    this.curve = [];
    this.every = 1;
    this.ticks = 0;
    this.from = null;
  }

  // `share` is null while nothing is known: a gap in the line, not a zero.
  sample(share) {
    if (this.from === null) {
      if (share === null) return;
      this.from = Date.now();
    }
    this.spark.push(share);
    if (this.spark.length > SPARK_POINTS) this.spark.shift();
    if (this.ticks++ % this.every === 0) this.curve.push(share);
    if (this.curve.length <= CURVE_POINTS) return;
    this.curve = this.curve.filter((_, at) => at % 2 === 0);
    this.every *= 2;
  }
}

// A path over shares 0..1, top is full; the newest value is carried to the right edge.
export function path(points, wide, high, slots) {
  const step = wide / Math.max(slots - 1, 1);
  const from = wide - step * (points.length - 1);
  let text = "";
  let pen = "M";
  points.forEach((share, at) => {
    if (share === null) { pen = "M"; return; }
    text += `${pen}${(from + at * step).toFixed(1)} ${((1 - share) * high).toFixed(1)}`;
    pen = "L";
  });
  return text;
}
