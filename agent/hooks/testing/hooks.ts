/** Hook definitions for tests. */
import type { ArgDef, FilterDef, HookDef, SelectorDef, TextComparison } from "../../../crds/hook-spec.ts";

/** A hook with the given parts and nothing else. */
export function makeHook(parts: Partial<HookDef> = {}): HookDef {
  return {
    path: "spec.kprobes[0]",
    section: "kprobes",
    call: "commit_creds",
    syscall: false,
    ignoreCallNotFound: false,
    args: [],
    selectors: [],
    ...parts,
  };
}

/** Arguments 0, 1, 2 ... of the given types. */
export function makeArgs(...types: ArgDef["type"][]): ArgDef[] {
  return types.map((type, index) => ({ index, type }));
}

/** A selector of these filters that posts. */
export function makeSelector(...filters: FilterDef[]): SelectorDef {
  return { filters, actions: [{ action: "Post" }] };
}

/** A filter on the string value of an argument. */
export function matchText(how: TextComparison, values: string[], arg = 0, negate = false): FilterDef {
  return { match: "arg", arg, negate, compare: "text", how, values };
}
