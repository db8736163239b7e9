/** Maps kernel structures, by their BTF names, to the argument types that read them. Pure. */
import { type ArgType, HOOK_ARGUMENT_TYPES, traitsOf } from "../../crds/argument-types.ts";
import type { BtfType } from "./kernel-types.ts";

/**
 * The argument type for each structure. Several types read a set of capabilities; the first one is used. A struct
 * filename is read as a string and so is left out.
 */
const STRUCTURES: ReadonlyMap<string, ArgType> = new Map(
  HOOK_ARGUMENT_TYPES.toReversed().flatMap((type) => {
    const { structure, family } = traitsOf(type);
    return structure && family !== "string" ? [[structure, type] as const] : [];
  }),
);

/** The argument type that reads a structure. */
export function structureType(type: BtfType): ArgType | undefined {
  return type.kind === "struct" ? STRUCTURES.get(type.name) : undefined;
}

/** True for a character type, the element of strings. */
export function isCharacter(type: BtfType): boolean {
  return type.kind === "integer" && type.size === 1;
}
