/** Which operators fit which argument types. */
import type { ArgType } from "../../crds/hook-spec.ts";
import { isReadable } from "../probes/args.ts";
import type { Problems } from "../problems.ts";
import { isUnsupported, refuse } from "../support.ts";
import { integerType } from "../values/integers.ts";

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

/** Types that hold a set of capabilities. */
export const CAPABILITY_SETS: readonly ArgType[] = [
  "kernel_cap_t",
  "cap_inheritable",
  "cap_permitted",
  "cap_effective",
];
const TEXTS: readonly ArgType[] = ["string", "filename", "char_buf", "const_buf"];
const FILES: readonly ArgType[] = ["fd", "file", "path", "dentry", "linux_binprm"];

/** What can be done about a type that no operator fits. */
const INSTEAD: Partial<Record<ArgType, string>> = {
  cred: "a whole credential has no order or value; resolve one of its members, such as euid.val",
  user_namespace: "a user namespace has no order or value; resolve one of its members, such as level",
  capability: "list the argument a second time with type: int and refer to it with args: [POSITION]",
  nop: "nop reads nothing; give the argument its type",
  auto: "auto has no order or value before it is resolved; give the argument its type",
  module: "a module has no order or value; resolve its name as a string",
  load_info: "a module has no order or value; resolve its name as a string",
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
  const allowed = operatorsOf(type);
  if (!allowed.includes(operator)) {
    const right = INSTEAD[type] ?? `use ${allowed.join(", ")}`;
    problems.error(path, `${operator} does not fit the type ${type}: ${right}`);
    return undefined;
  }
  if (operator === "Mask") return "mask";
  if (operator.endsWith("FileType")) return "fileType";
  return isText(type) ? "text" : "range";
}

function operatorsOf(type: ArgType): readonly string[] {
  if (integerType(type)) return ON_INTEGERS;
  if (CAPABILITY_SETS.includes(type)) return ON_CAPABILITY_SETS;
  if (FILES.includes(type)) return ON_FILES;
  return TEXTS.includes(type) ? ON_TEXTS : [];
}

function isText(type: ArgType): boolean {
  return TEXTS.includes(type) || FILES.includes(type);
}
