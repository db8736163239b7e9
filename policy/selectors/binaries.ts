/** Filters on executed files: matchBinaries, matchParentBinaries. */
import type { FilterDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { child, type Problems } from "../problems.ts";
import { quote } from "../suggest.ts";
import type { BinaryMatch } from "../types.ts";
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

/** Nothing expands patterns, and hardly a file has such a name. */
export function warnOfPattern(value: string, path: string, problems: Problems): void {
  if (!value.includes("*")) return;
  problems.warn(path, `${quote(value)} is no pattern, "*" stands for itself: use Prefix or Postfix`);
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
  warnOfPattern(value, path, problems);
}

/** Names that are links to other names on most images, and the files that they lead to. */
const LINKED: Readonly<Record<string, readonly string[]>> = {
  sh: ["dash", "bash", "busybox"],
  python: ["python2", "python3"],
};

/** On most images /bin is a link to /usr/bin, and a process may be started by either. */
function warnOfLinks(values: readonly string[], path: string, problems: Problems): void {
  for (const [index, value] of values.entries()) {
    const [, directory = "", name = ""] = /^\/(bin|sbin|lib|lib64)\/(.*)$/.exec(value) ?? [];
    const files = (Object.hasOwn(LINKED, name) ? LINKED[name] : undefined) ?? [name];
    const resolved = files.map((file) => `/usr/${directory}/${file}`);
    if (directory === "" || resolved.some((file) => values.includes(file))) continue;
    problems.warn(
      child(path, index),
      `/${directory} is a link to /usr/${directory} on most images: a process that was not started by this path is compared by that of its file, add ${resolved.join(" or ")}`,
    );
  }
}
