// Code and state of a tile on hover, focus and long press. The tip can be pointed at; Escape closes it.
import { ago, byId, put } from "./dom.js";
import { word } from "./status.js";

const HIDE_MS = 120; // time to move the pointer from the tile onto the tip
const PRESS_MS = 450;

export function tips(container, slotOf) {
  const tip = byId("tip");
  let hiding = null;
  let pressing = null;
  let pressed = false;

  function show(tile) {
    const slot = slotOf(tile.dataset.slot);
    if (!slot) return;
    clearTimeout(hiding);
    put(tip, `${slot.slot} · ${word(slot.status)}${slot.since ? ` · ${ago(slot.since)}` : ""}`);
    tip.hidden = false;
    const at = tile.getBoundingClientRect();
    const size = tip.getBoundingClientRect();
    const above = at.top > size.height + 8;
    tip.style.left = `${Math.max(4, Math.min(at.left + at.width / 2 - size.width / 2, innerWidth - size.width - 4))}px`;
    tip.style.top = `${above ? at.top - size.height : at.bottom}px`;
  }
  function hide() {
    clearTimeout(hiding);
    hiding = setTimeout(() => { tip.hidden = true; }, HIDE_MS);
  }
  const on = (name, run) => container.addEventListener(name, (event) => {
    const tile = event.target.closest?.(".tile");
    if (tile) run(tile, event);
  });
  on("pointerover", (tile, event) => event.pointerType === "mouse" && show(tile));
  on("pointerout", (tile, event) => event.pointerType === "mouse" && hide());
  on("focusin", (tile) => tile.matches(":focus-visible") && show(tile));
  on("focusout", hide);
  on("pointerdown", (tile, event) => {
    pressed = false;
    if (event.pointerType === "mouse") return;
    pressing = setTimeout(() => { pressed = true; show(tile); }, PRESS_MS);
  });
  for (const name of ["pointerup", "pointercancel"]) on(name, () => { clearTimeout(pressing); if (pressed) setTimeout(hide, 1500); });
  on("contextmenu", (_, event) => pressed && event.preventDefault());
  // A long press asks for the code, not for the drawer.
  container.addEventListener("click", (event) => { if (pressed) { event.stopPropagation(); pressed = false; } }, true);
  container.addEventListener("scroll", hide, { passive: true });
  tip.addEventListener("pointerenter", () => clearTimeout(hiding));
  tip.addEventListener("pointerleave", hide);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });
}
