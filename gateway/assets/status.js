// The five statuses: their order, words and shapes. Shapes are drawn by slots.css from [data-status], one definition for
// tiles, legend, rows and feed, so a change of status is one attribute.
import { h, t } from "./dom.js";

export const STATUSES = ["free", "occupied", "held", "unknown", "out_of_service"];
export const word = (status) => t(`status.${STATUSES.includes(status) ? status : "unknown"}`);
export const shape = (status) => h("span", { class: "shape", "data-status": status, "aria-hidden": "true" });

// The share of places in use among those of which something is known; null where nothing is known.
export function fullness(counts) {
  const known = counts ? counts.capacity - counts.unknown : 0;
  return known > 0 ? (known - counts.free) / known : null;
}
export const isKnown = (counts) => !!counts && counts.capacity - counts.unknown > 0;
