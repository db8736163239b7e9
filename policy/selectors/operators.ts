/** Which operators fit which argument types. */
import type { ArgType } from "../../crds/hook-spec.ts";
import { integerType } from "../integers.ts";
import type { Problems } from "../problems.ts";
import { isUnsupported, refuse } from "../support.ts";

const ON_INTEGERS = [
  "Equal",
  "NotEqual",
  "GT",
  "GreaterThan",
  "LT",
  "LessThan",
  "Mask",
  "InRange",
  "NotInRange",
  "InMap",
  "NotInMap",
];
const ON_CAPABILITY_SETS = ["Equal", "NotEqual", "Mask", "CapabilitiesGained"];
const ON_STRINGS = [
  "Equal",
  "NotEqual",
  "Prefix",
  "NotPrefix",
  "Postfix",
  "NotPostfix",
  "SubString",
  "SubStringIgnCase",
];
const CAPABILITY_SETS: readonly ArgType[] = [
  "kernel_cap_t",
  "cap_inheritable",
  "cap_permitted",
  "cap_effective",
];

/** What can be done about a type that no operator fits. */
const INSTEAD: Partial<Record<ArgType, string>> = {
  cred: "a whole credential has no order or value",
  user_namespace: "a user namespace has no order or value",
  capability: "list the argument a second time with type: int and refer to it with args: [POSITION]",
  nop: "nop reads nothing; give the argument its type",
};

/** True if the engine can apply the operator to the type; otherwise the reason is reported. */
export function operatorFits(operator: string, type: ArgType, path: string, problems: Problems): boolean {
  if (operator === "CelExpr") {
    refuse("CelExpr", path, problems);
    return false;
  }
  const allowed = operatorsOf(type);
  if (!allowed.includes(operator)) {
    const right = INSTEAD[type] ?? `use ${allowed.join(", ")}`;
    problems.error(path, `${operator} does not fit the type ${type}: ${right}`);
    return false;
  }
  if (type === "string") refuse("stringOperators", path, problems);
  else if (isUnsupported(operator)) refuse(operator, path, problems);
  else return true;
  return false;
}

function operatorsOf(type: ArgType): readonly string[] {
  if (integerType(type)) return ON_INTEGERS;
  if (CAPABILITY_SETS.includes(type)) return ON_CAPABILITY_SETS;
  return type === "string" ? ON_STRINGS : [];
}
