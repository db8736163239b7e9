/** Filters on the calling process: matchPIDs, matchNamespaces, matchNamespaceChanges. */
import type { FilterDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { NAMESPACES } from "../../crds/linux.ts";
import { child, type Problems } from "../problems.ts";
import { didYouMean, quote } from "../suggest.ts";
import type { NamespaceChangeMatch, NamespaceMatch, PidMatch } from "../types.ts";
import { bounds, parseNumber } from "../values/integers.ts";

/** One filter per entry of matchPIDs; several entries must all match. */
export function pidFilter(match: PidMatch, path: string, problems: Problems): FilterDef {
  checkValues(match.values, `${path}.values`, HOOK_SPEC_LIMITS.pids, problems);
  for (const [index, pid] of match.values.entries()) {
    if (pid < 0) problems.error(child(`${path}.values`, index), `is ${pid}: a process id is 0 or more`);
  }
  return {
    match: "pid",
    negate: match.operator === "NotIn",
    values: unique(match.values),
    namespacePid: match.isNamespacePID ?? false,
    followForks: match.followForks ?? false,
  };
}

/** One filter per entry of matchNamespaces; several entries must all match. */
export function namespaceFilter(match: NamespaceMatch, path: string, problems: Problems): FilterDef {
  checkValues(match.values, `${path}.values`, HOOK_SPEC_LIMITS.namespaces, problems);
  const values = match.values.flatMap((value, index) => {
    const parsed = parseNamespace(value);
    if (typeof parsed !== "object") return [parsed];
    problems.error(child(`${path}.values`, index), parsed.error);
    return [];
  });
  return {
    match: "namespace",
    negate: match.operator === "NotIn",
    namespace: match.namespace,
    values: unique(values),
  };
}

/** Reports more entries than a selector may have. */
export function checkEntryCount(count: number, most: number, path: string, problems: Problems): void {
  if (count <= most) return;
  const right =
    most === 1 ? "only 1 is allowed: put all values into one entry" : `at most ${most} are allowed`;
  problems.error(path, `has ${count} entries${most === 1 ? "," : ":"} ${right}`);
}

/**
 * The filter of matchNamespaceChanges. NotIn is upstream's: a change of any kind that is not listed, not the absence of
 * one; the spec holds the kinds that count.
 */
export function namespaceChangeFilter(
  match: NamespaceChangeMatch,
  path: string,
  problems: Problems,
): FilterDef | undefined {
  checkValues(match.values, `${path}.values`, NAMESPACES.length, problems);
  const listed = match.values.flatMap((value, index) => {
    const kind = NAMESPACES.find((known) => known === value);
    if (kind) return [kind];
    const hint = didYouMean(value, NAMESPACES) || `: must be ${NAMESPACES.join(", ")}`;
    problems.error(child(`${path}.values`, index), `${quote(value)} is not a kind of namespace${hint}`);
    return [];
  });
  const namespaces =
    match.operator === "In" ? unique(listed) : NAMESPACES.filter((kind) => !listed.includes(kind));
  if (namespaces.length > 0) return { match: "namespaceChange", negate: false, namespaces };
  if (listed.length > 0)
    problems.error(`${path}.values`, "names every namespace: NotIn leaves none to look at");
  return undefined;
}

function parseNamespace(value: string): number | "host_ns" | { error: string } {
  if (value === "host_ns") return value;
  const number = parseNumber(value);
  const [low, high] = bounds({ bits: 32, signed: false });
  if (number !== undefined && number >= low && number <= high) return Number(number);
  const hint = didYouMean(value, ["host_ns"]);
  return { error: `${quote(value)} is not a namespace${hint || ": write its inode number, or host_ns"}` };
}

/** Reports no values, or more than an agent takes. */
export function checkValues(values: unknown[], path: string, most: number, problems: Problems): void {
  if (values.length === 0) problems.error(path, "is empty: the filter needs at least one value");
  if (values.length > most) problems.error(path, `has ${values.length} entries: at most ${most} are allowed`);
}

/** Each value once, in order. */
export function unique<T>(values: T[]): T[] {
  return [...new Set(values)];
}
