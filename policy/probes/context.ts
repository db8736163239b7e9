/** Where the parts of a probe stand, for those that compile them. */
import type { HookSection } from "../../crds/hook-spec.ts";
import type { Problems } from "../problems.ts";
import type { PolicySpec } from "../types.ts";
import type { Enforcers } from "./enforcers.ts";
import type { Lists } from "./lists.ts";

/** Where a probe stands, and what it can refer to. */
export interface ProbeContext {
  section: HookSection;
  /** `spec.kprobes[0]`. */
  path: string;
  lists: Lists;
  macros: PolicySpec["selectorsMacros"];
  enforcers: Enforcers;
  problems: Problems;
}

/** Properties of values that follow from the kind of hook. */
export interface ArgRules {
  section: HookSection;
  syscall: boolean;
  /** A tracepoint whose values are fields of its trace event, not parameters. */
  fields: boolean;
}
