/** What the matches of a policy lead to. Programs read the mode at each match. */
import { ENUMERATORS as E } from "../config/layout.ts";
import type { HookMaps } from "./hook-maps.ts";

/**
 * The mode of a policy, and so of each of its hooks. `monitor`: enforcing actions are counted and not done. `count`: what
 * would be posted is only counted, too.
 */
export type Mode = "enforce" | "monitor" | "count";

/** `off`: the hook does nothing any more until it is detached. Calls that have begun are still posted at their return. */
export type HookMode = Mode | "off";

const VALUES: Readonly<Record<HookMode, number>> = {
  enforce: E.MODE_ENFORCE,
  monitor: E.MODE_MONITOR,
  count: E.MODE_COUNT,
  off: E.MODE_OFF,
};

/** Sets the mode of a hook from the next match on: each is either posted or counted, or neither. */
export function setMode({ ".data.mode": map }: HookMaps, mode: HookMode): void {
  map.update(new Uint8Array(4), new Uint8Array(Uint32Array.of(VALUES[mode]).buffer));
}
