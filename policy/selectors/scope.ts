/** What a selector can refer to, and what it must fit. */
import type { ArgDef, HookSection, ReturnDef } from "../../crds/hook-spec.ts";
import type { Call } from "../probes/calls.ts";
import type { Enforcers } from "../probes/enforcers.ts";
import type { Lists } from "../probes/lists.ts";
import type { PolicySpec } from "../types.ts";

/** The hook around a selector. */
export interface SelectorScope {
  section: HookSection;
  /** What the hook is attached to: several for a list; none when the name was wrong. */
  calls: readonly Call[];
  /** Entries of args, then those of data. */
  args: readonly ArgDef[];
  /** Number of entries that are data. */
  data: number;
  /** What is read at return; undefined: the event is posted at entry. */
  returnArg: ReturnDef | undefined;
  /** What the policy wrote as returnArg.index; filters may repeat it. */
  returnIndex?: number;
  lists: Lists;
  macros: PolicySpec["selectorsMacros"];
  enforcers: Enforcers;
}
