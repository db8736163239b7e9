/** Replaces names of system calls in filters by their numbers, which differ between architectures. Pure. */
import type { FilterDef, HookDef, Range } from "../../../crds/hook-spec.ts";
import { syscallNumbers } from "../../../crds/syscall-abis.ts";
import type { SyscallArchitecture } from "../../../crds/syscall-table.ts";
import { HookError } from "../hook-error.ts";

/** Returns the hook with numbers of system calls instead of names. */
export function numberSyscalls(def: HookDef, architecture: string): HookDef {
  if (!def.selectors.some(({ filters }) => filters.some((filter) => "syscalls" in filter))) return def;
  const selectors = def.selectors.map((selector) => ({
    ...selector,
    filters: selector.filters.map((filter) => numberFilter(filter, architecture)),
  }));
  return { ...def, selectors };
}

function numberFilter(filter: FilterDef, architecture: string): FilterDef {
  if (!("syscalls" in filter) || !filter.syscalls) return filter;
  if (!isKnown(architecture)) {
    throw new HookError("KernelUnsupported", `the numbers of system calls are not known on ${architecture}`);
  }
  const { syscalls, ...rest } = filter;
  const numbers = syscalls.flatMap((name) => syscallNumbers(name, architecture));
  const ranges = mergeNumbers(numbers).map(([low, high]): Range => [String(low), String(high)]);
  const all = [...rest.ranges, ...ranges];
  if (all.length > 0) return { ...rest, ranges: all };
  throw new HookError(
    "KernelUnsupported",
    `none of the system calls ${syscalls.join(", ")} exists on ${architecture}`,
  );
}

function isKnown(architecture: string): architecture is SyscallArchitecture {
  return architecture === "x64" || architecture === "arm64";
}

/** Merges consecutive numbers into ranges, because a list may name hundreds of system calls. */
function mergeNumbers(numbers: readonly number[]): [number, number][] {
  const merged: [number, number][] = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = merged.at(-1);
    if (last && number <= last[1] + 1) last[1] = Math.max(last[1], number);
    else merged.push([number, number]);
  }
  return merged;
}
