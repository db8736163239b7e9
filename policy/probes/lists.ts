/** Named lists: `call: list:NAME` and `values: ["list:NAME"]`. */

import { isSyscall, SYSCALL_NAMES } from "../../crds/syscall-table.ts";
import { child, type Problems } from "../problems.ts";
import { didYouMean, quote } from "../suggest.ts";
import { refuse } from "../support.ts";
import type { PolicyList, PolicySpec } from "../types.ts";

const SYSCALL_PREFIX = /^(?:__(?:x64|arm64)_)?sys_/;

/** A list of the policy with the place it stands at. */
export interface NamedList {
  list: PolicyList;
  path: string;
}

/** Lists by name. */
export type Lists = ReadonlyMap<string, NamedList>;

/** Every list of a policy; what is wrong with one is reported once, here. */
export function readLists(spec: PolicySpec, problems: Problems): Lists {
  const lists = new Map<string, NamedList>();
  for (const [index, list] of (spec.lists ?? []).entries()) {
    const path = `spec.lists[${index}]`;
    checkList(list, path, problems);
    const earlier = lists.get(list.name);
    if (earlier) problems.error(`${path}.name`, `${quote(list.name)} is the name of ${earlier.path} already`);
    else lists.set(list.name, { list, path });
  }
  return lists;
}

/** NAME of `list:NAME`; undefined for anything else. */
export function listName(text: string): string | undefined {
  return text.startsWith("list:") ? text.slice("list:".length) : undefined;
}

/** The list that a name refers to; an unknown name is an error at `path`. */
export function findList(
  name: string,
  path: string,
  lists: Lists,
  problems: Problems,
): NamedList | undefined {
  const found = lists.get(name);
  if (!found) {
    const known = [...lists.keys()];
    const rest = known.length > 0 ? `: spec.lists has ${known.join(", ")}` : ": the policy has no spec.lists";
    problems.error(path, `list ${quote(name)} does not exist${didYouMean(name, known) || rest}`);
  }
  return found;
}

/** Names without `sys_` of a list of system calls; entries that are none are errors. */
export function syscallsOf({ list, path }: NamedList, problems: Problems): string[] {
  if (list.type === "generated_syscalls") return [...SYSCALL_NAMES];
  return (list.values ?? []).flatMap((value, index) => {
    const name = value.replace(SYSCALL_PREFIX, "");
    if (isSyscall(name)) return [name];
    const hint = didYouMean(name, SYSCALL_NAMES) || ": write sys_NAME";
    problems.error(
      child(`${path}.values`, index),
      `${quote(value)} is not a system call with a number${hint}`,
    );
    return [];
  });
}

function checkGenerated(list: PolicyList, path: string, problems: Problems): void {
  for (const name of ["values", "pattern"] as const) {
    if (list[name]?.length)
      problems.error(`${path}.${name}`, "does not fit generated_syscalls: it has all system calls");
  }
}

function checkList(list: PolicyList, path: string, problems: Problems): void {
  if (list.name === "") problems.error(`${path}.name`, "is empty");
  if (list.type === "generated_ftrace") {
    refuse("generated_ftrace", `${path}.type`, problems);
    return;
  }
  if (list.type === "generated_syscalls") {
    checkGenerated(list, path, problems);
    return;
  }
  if (list.pattern)
    problems.error(`${path}.pattern`, "belongs to a generated list: leave it out, or list the values");
  const values = list.values ?? [];
  if (values.length === 0) problems.error(`${path}.values`, "is empty: a list needs at least one value");
  const seen = new Map<string, number>();
  for (const [index, value] of values.entries()) {
    const earlier = seen.get(value);
    if (earlier === undefined) seen.set(value, index);
    else
      problems.error(
        child(`${path}.values`, index),
        `${quote(value)} stands in the list already, at [${earlier}]`,
      );
  }
  if (list.validated) problems.warn(`${path}.validated`, "has no effect: every node checks every entry");
}
