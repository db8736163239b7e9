/** Filters on the calling process: matchPIDs, matchNamespaces, matchBinaries. */
import type { FilterDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { bounds, parseNumber } from "../integers.ts";
import { child, type Problems } from "../problems.ts";
import { didYouMean, quote } from "../suggest.ts";
import { refuse } from "../support.ts";
import type { BinaryMatch, NamespaceMatch, PidMatch } from "../types.ts";

const MAX_NAMESPACES = 10;

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

/** Reports more namespace entries than a selector may have. */
export function checkNamespaceCount(count: number, path: string, problems: Problems): void {
  if (count > MAX_NAMESPACES)
    problems.error(path, `has ${count} entries: at most ${MAX_NAMESPACES} are allowed`);
}

/** The filter of matchBinaries. */
export function binaryFilter(match: BinaryMatch, path: string, problems: Problems): FilterDef {
  if (match.followChildren) refuse("followChildren", `${path}.followChildren`, problems);
  checkValues(match.values, `${path}.values`, HOOK_SPEC_LIMITS.binaries, problems);
  const negate = match.operator.startsWith("Not");
  const operator = negate ? match.operator.slice(3) : match.operator;
  const compare = operator === "In" ? "equal" : operator === "Prefix" ? "prefix" : "postfix";
  const most = compare === "postfix" ? HOOK_SPEC_LIMITS.postfixBytes : HOOK_SPEC_LIMITS.pathBytes;
  for (const [index, value] of match.values.entries()) {
    const at = child(`${path}.values`, index);
    if (value === "") problems.error(at, "is empty: write a path");
    if (value.includes("\0")) problems.error(at, "contains a NUL character: no path does");
    if (Buffer.byteLength(value) > most) problems.error(at, `is longer than ${most} bytes`);
    if (compare !== "postfix" && value !== "" && !value.startsWith("/")) {
      problems.warn(at, `${quote(value)} does not start with "/": binaries are compared by their full path`);
    }
  }
  return { match: "binary", negate, compare, values: unique(match.values) };
}

function parseNamespace(value: string): number | "host_ns" | { error: string } {
  if (value === "host_ns") return value;
  const number = parseNumber(value);
  const [low, high] = bounds({ bits: 32, signed: false });
  if (number !== undefined && number >= low && number <= high) return Number(number);
  const hint = didYouMean(value, ["host_ns"]);
  return { error: `${quote(value)} is not a namespace${hint || ": write its inode number, or host_ns"}` };
}

function checkValues(values: unknown[], path: string, most: number, problems: Problems): void {
  if (values.length === 0) problems.error(path, "is empty: the filter needs at least one value");
  if (values.length > most) problems.error(path, `has ${values.length} entries: at most ${most} are allowed`);
}

function unique<T>(values: T[]): T[] {
  return [...new Set(values)];
}
