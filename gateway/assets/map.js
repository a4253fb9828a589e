// The map: one tile per slot, grouped by zone. A tile's status is one attribute; all that is seen hangs on it in
// slots.css. Changes are gathered and patched once per frame; other tiles are never touched.
import { h, put, roving, t } from "./dom.js";
import { STATUSES, isKnown, word } from "./status.js";

const FLASHES = 24; // at once: more nobody can follow, and each costs a style and a paint per frame
const still = matchMedia("(prefers-reduced-motion: reduce)");
export const byCode = new Intl.Collator(undefined, { numeric: true });

export class TileMap {
  constructor(container, { onOpen }) {
    this.container = container;
    this.tiles = new Map();
    this.groups = [];
    this.dirty = new Map();
    this.queued = false;
    this.flashes = 0;
    this.rove = roving(container, ".tile", { step: (key, tile, all, at) => this.step(key, tile, all, at) });
    container.addEventListener("click", (event) => {
      const tile = event.target.closest(".tile");
      if (tile) onOpen(tile.dataset.slot, tile);
    });
  }

  build(lot, slots) {
    this.dirty.clear();
    this.flashes = 0;
    this.tiles.clear();
    const zones = [...(lot.zones ?? [])].sort((a, b) => (a.level ?? 0) - (b.level ?? 0) || byCode.compare(a.name, b.name));
    const groups = new Map(zones.map((zone) => [zone.code, { code: zone.code, name: zone.name || zone.code, slots: [] }]));
    for (const slot of slots.values()) {
      const code = slot.zone ?? "";
      if (!groups.has(code)) groups.set(code, { code, name: code || t("map.no_zone"), slots: [] });
      groups.get(code).slots.push(slot);
    }
    this.groups = [...groups.values()].filter((group) => group.slots.length);
    this.container.replaceChildren(...this.groups.map((group) => this.section(group)));
  }

  section(group) {
    group.slots.sort((a, b) => byCode.compare(a.slot, b.slot));
    group.free = h("span", { class: "quiet number" });
    group.grid = h("div", { class: "tiles", role: "group", "aria-label": group.name });
    for (const slot of group.slots) {
      const tile = h("button", { class: "tile", type: "button", tabindex: "-1", "data-slot": slot.slot, "data-status": slot.status, "aria-label": label(slot) });
      this.tiles.set(slot.slot, tile);
      group.grid.append(tile);
    }
    group.section = h("section", { class: "zone", "data-zone": group.code }, h("h3", {}, group.name, " ", group.free), group.grid);
    // What is off the screen is neither laid out nor painted; the guess keeps the scroll bar honest.
    group.section.style.containIntrinsicSize = `auto ${Math.ceil(group.slots.length / 20) * 32 + 48}px`;
    return group.section;
  }

  // Notes a change; `flash` is false for a whole new state.
  touch(slot, flash) {
    this.dirty.set(slot.slot, { slot, flash });
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => this.paint());
  }

  paint() {
    this.queued = false;
    for (const { slot, flash } of this.dirty.values()) {
      const tile = this.tiles.get(slot.slot);
      if (!tile || tile.dataset.status === slot.status) continue;
      tile.dataset.status = slot.status;
      tile.setAttribute("aria-label", label(slot));
      if (flash && this.flashes < FLASHES && !still.matches) this.flash(tile);
    }
    this.dirty.clear();
  }

  flash(tile) {
    this.flashes += 1;
    const animation = tile.animate([{ backgroundColor: "var(--flash)" }, { backgroundColor: "transparent" }], { duration: 1000, easing: "steps(12)" });
    animation.onfinish = animation.oncancel = () => { this.flashes = Math.max(0, this.flashes - 1); };
  }

  counts(counts) {
    for (const group of this.groups) {
      const own = counts?.by_zone?.[group.code];
      put(group.free, own && isKnown(own) ? t("map.free_of", { free: own.free, capacity: own.capacity }) : "");
    }
  }

  filter(zone, status) {
    for (const group of this.groups) group.section.hidden = zone !== "" && group.code !== zone;
    if (STATUSES.includes(status)) this.container.dataset.only = status;
    else delete this.container.dataset.only;
    this.rove.ensure(); // only what is seen can be reached by Tab
  }

  focus(code) {
    const tile = this.tiles.get(code);
    if (!tile) return false;
    this.rove.choose(tile, true);
    tile.scrollIntoView({ block: "nearest" });
    return true;
  }

  // Left and right follow the codes, up and down the columns as drawn, also across zones.
  step(key, tile, all, at) {
    if (key === "ArrowRight") return all[Math.min(at + 1, all.length - 1)];
    if (key === "ArrowLeft") return all[Math.max(at - 1, 0)];
    if (key === "Home") return all[0];
    if (key === "End") return all[all.length - 1];
    if (key !== "ArrowDown" && key !== "ArrowUp") return undefined;
    const grid = tile.parentElement;
    const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    const index = [...grid.children].indexOf(tile);
    const down = key === "ArrowDown";
    const inside = grid.children[index + (down ? columns : -columns)];
    if (inside) return inside;
    const lastRow = Math.floor((grid.children.length - 1) / columns);
    if (down && Math.floor(index / columns) < lastRow) return grid.lastElementChild;
    const shown = this.groups.filter((group) => !group.section.hidden);
    const next = shown[shown.findIndex((group) => group.grid === grid) + (down ? 1 : -1)];
    if (!next) return tile;
    const size = next.grid.children.length;
    const rowStart = down ? 0 : Math.floor((size - 1) / columns) * columns;
    return next.grid.children[Math.min(rowStart + (index % columns), size - 1)];
  }
}

const label = (slot) => `${slot.slot}, ${word(slot.status)}`;
