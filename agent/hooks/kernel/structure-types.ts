/** Which structures of the kernel, by their names in its BTF, argument types show. Pure. */
import { type ArgType, HOOK_ARGUMENT_TYPES, traitsOf } from "../../../crds/argument-types.ts";
import type { BtfType } from "../../bpf/binding.ts";

/** Several types show a set of capabilities: the first is meant. A struct filename holds a string and is shown as one. */
const STRUCTURES: ReadonlyMap<string, ArgType> = new Map(
  HOOK_ARGUMENT_TYPES.toReversed().flatMap((type) => {
    const { structure, family } = traitsOf(type);
    return structure && family !== "string" ? [[structure, type] as const] : [];
  }),
);

/** The type that shows a structure. */
export function structureType(type: BtfType): ArgType | undefined {
  return type.kind === "struct" ? STRUCTURES.get(type.name) : undefined;
}

/** True for what texts are made of. */
export function isCharacter(type: BtfType): boolean {
  return type.kind === "integer" && type.size === 1;
}
