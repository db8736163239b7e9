/** Whether what a policy enforces is done, or only counted; a program looks it up at each hit that would enforce. */
import { ENUMERATORS as E } from "../config/layout.ts";
import type { HookMaps } from "./hook-maps.ts";

/** Of a policy, and so of each of its hooks. */
export type Mode = "enforce" | "monitor";

/** Takes effect with the next hit; a hook that enforces nothing has no mode. */
export function setMode({ hook_mode: map }: HookMaps, mode: Mode): void {
  const value = mode === "enforce" ? E.MODE_ENFORCE : E.MODE_MONITOR;
  map?.update(new Uint8Array(4), new Uint8Array(Uint32Array.of(value).buffer));
}
