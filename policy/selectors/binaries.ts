/** Filters on executed files: matchBinaries, matchParentBinaries. */
import type { FilterDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { child, type Problems } from "../problems.ts";
import { quote } from "../suggest.ts";
import type { BinaryMatch } from "../types.ts";
import { linkOf, warnOfSpelling } from "./paths.ts";
import { checkValues, unique } from "./process.ts";

/** The filter on the path of a process, or of its parent. */
export function binaryFilter(
  match: BinaryMatch,
  of: "self" | "parent",
  path: string,
  problems: Problems,
): FilterDef {
  checkValues(match.values, `${path}.values`, HOOK_SPEC_LIMITS.binaries, problems);
  const negate = match.operator.startsWith("Not");
  const operator = negate ? match.operator.slice(3) : match.operator;
  const compare = operator === "In" ? "equal" : operator === "Prefix" ? "prefix" : "postfix";
  for (const [index, value] of match.values.entries()) {
    checkPath(value, compare, child(`${path}.values`, index), problems);
  }
  if (compare !== "postfix") warnOfLinks(match.values, `${path}.values`, problems);
  if (match.followChildren && compare !== "equal") {
    problems.error(`${path}.followChildren`, `fits In and NotIn only, not ${match.operator}`);
  }
  return {
    match: "binary",
    negate,
    compare,
    values: unique(match.values),
    ...(of === "parent" ? { of } : {}),
    ...(match.followChildren ? { followChildren: true } : {}),
  };
}

function checkPath(
  value: string,
  compare: "equal" | "prefix" | "postfix",
  path: string,
  problems: Problems,
): void {
  const most = compare === "postfix" ? HOOK_SPEC_LIMITS.postfixBytes : HOOK_SPEC_LIMITS.pathBytes;
  if (value === "") problems.error(path, "is empty: write a path");
  if (value.includes("\0")) problems.error(path, "contains a NUL character: no path does");
  if (Buffer.byteLength(value) > most) problems.error(path, `is longer than ${most} bytes`);
  if (compare !== "postfix" && value !== "" && !value.startsWith("/")) {
    problems.warn(path, `${quote(value)} does not start with "/": binaries are compared by their full path`);
  }
  warnOfSpelling(value, compare, path, problems);
}

/** A process may be started by the path of a link, and then has two paths. */
function warnOfLinks(values: readonly string[], path: string, problems: Problems): void {
  for (const [index, value] of values.entries()) {
    const link = linkOf(value);
    if (!link || link.files.some((file) => values.includes(file))) continue;
    problems.warn(
      child(path, index),
      `${link.fact} on most images: a process that was not started by this path is compared by that of its file, add ${link.files.join(" or ")}`,
    );
  }
}
