/** Whether a policy's enforcing actions are carried out or only counted. Programs read the mode before they enforce. */
import { ENUMERATORS as E } from "../config/layout.ts";
import type { HookMaps } from "./hook-maps.ts";

/** The mode of a policy, and so of each of its hooks. */
export type Mode = "enforce" | "monitor";

/** Sets the mode of a hook from the next hit on. Does nothing for a hook that enforces nothing. */
export function setMode({ hook_mode: map }: HookMaps, mode: Mode): void {
  const value = mode === "enforce" ? E.MODE_ENFORCE : E.MODE_MONITOR;
  map?.update(new Uint8Array(4), new Uint8Array(Uint32Array.of(value).buffer));
}
