/** Which operators fit which argument types. */
import { type ArgType, type ArgumentFamily, isReadable, traitsOf } from "../../crds/argument-types.ts";
import type { Problems } from "../problems.ts";
import { isUnsupported, refuse } from "../support.ts";

/** How a value is compared; CapabilitiesGained, which compares two, stands apart. */
export type Comparison = "range" | "mask" | "text" | "fileType";

const RANGES = [
  "Equal",
  "NotEqual",
  "GT",
  "GreaterThan",
  "LT",
  "LessThan",
  "InRange",
  "NotInRange",
  "InMap",
  "NotInMap",
];
const ON_INTEGERS = [...RANGES.slice(0, 6), "Mask", ...RANGES.slice(6)];
const ON_CAPABILITY_SETS = ["Equal", "NotEqual", "Mask", "CapabilitiesGained"];
const ON_TEXTS = [
  "Equal",
  "NotEqual",
  "Prefix",
  "NotPrefix",
  "Postfix",
  "NotPostfix",
  "SubString",
  "SubStringIgnCase",
];
const ON_FILES = [...ON_TEXTS, "FileType", "NotFileType"];

interface Fit {
  operators: readonly string[];
  /** What all of them compare, but those that name something else: Mask, FileType. */
  comparison: Comparison;
}

/** The operators that fit a family, or what can be done about a type that none fits. */
const FITS: Readonly<Record<ArgumentFamily, Fit | string>> = {
  integer: { operators: ON_INTEGERS, comparison: "range" },
  capabilitySet: { operators: ON_CAPABILITY_SETS, comparison: "range" },
  string: { operators: ON_TEXTS, comparison: "text" },
  buffer: { operators: ON_TEXTS, comparison: "text" },
  path: { operators: ON_FILES, comparison: "text" },
  credentials: "a whole credential has no order or value; resolve one of its members, such as euid.val",
  userNamespace: "a user namespace has no order or value; resolve one of its members, such as level",
  capability: "list the argument a second time with type: int and refer to it with args: [POSITION]",
  module: "a module has no order or value; resolve its name as a string",
  nothing: "nop reads nothing; give the argument its type",
  placeholder: "auto has no order or value before it is resolved; give the argument its type",
};

/** How the operator compares a value of the type; undefined after the reason was reported. */
export function comparisonOf(
  operator: string,
  type: ArgType,
  path: string,
  problems: Problems,
): Comparison | undefined {
  if (isUnsupported(operator)) {
    refuse(operator, path, problems);
    return undefined;
  }
  if (!isReadable(type)) return undefined; // an error where it is declared
  const fit = FITS[traitsOf(type).family];
  if (typeof fit === "string" || !fit.operators.includes(operator)) {
    const right = typeof fit === "string" ? fit : `use ${fit.operators.join(", ")}`;
    problems.error(path, `${operator} does not fit the type ${type}: ${right}`);
    return undefined;
  }
  if (operator === "Mask") return "mask";
  return operator.endsWith("FileType") ? "fileType" : fit.comparison;
}
