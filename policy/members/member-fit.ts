/** Whether what a field path leads to can be read as an argument's type: one answer for the compiler and every node. */

import { numberWidth, typeOfWidth } from "../../crds/argument-fit.ts";
import { type ArgType, isKernelStructure, traitsOf } from "../../crds/argument-types.ts";
import type { ArgDef } from "../../crds/hook-spec.ts";
import { describe, type Member, MemberError } from "./field-path.ts";
import type { BtfType } from "./kernel-types.ts";
import { isCharacter, structureType } from "./structure-types.ts";

/** Throws a MemberError unless the type suits what stands there: a number, else a structure, an array or a pointer. */
export function checkMember(arg: Pick<ArgDef, "type" | "source">, member: Member): void {
  const { type } = arg;
  const { fieldPath, of } = member;
  const { load, room } = fieldPath;
  if (type === "nop") return;
  const traits = traitsOf(type);
  const isNumber = traits.family === "integer" || traits.family === "capability";
  if (isNumber && load === 0) fail(`it is no number, as type ${type} wants`);
  checkNumber(arg, member);
  if (!isNumber && load !== 0 && load !== 8) fail(`it is a number, type ${type} wants an address`);
  if (!isReadFrom(type, of)) fail(`it is ${describe(of)}, not of the type ${type}`);
  if (type === "string" && room === 0)
    fail("the kernel's types do not contain the array's length, and no NUL need end it");
}

/** A register may hold a narrower number; a member has all of its bytes, and an address is no number. */
function checkNumber(
  { type, source }: Pick<ArgDef, "type" | "source">,
  { fieldPath: { load, bits }, type: found }: Member,
): void {
  const width = numberWidth(type);
  if (width === undefined || source === "pt_regs") return;
  if (found.kind === "pointer") {
    const advice = "name the type of what is there, or resolve a member of it";
    fail(`it is an address, not of the type ${type}: ${advice}`);
  }
  if (load !== 0 && (bits?.count ?? load * 8) > width * 8)
    fail(`it has ${load} bytes, type ${type} has ${width}: write ${typeOfWidth(load)}`);
}

/** A pointer to void may lead to anything. A set of capabilities has no name from 6.3 on. */
function isReadFrom(type: ArgType, of: BtfType): boolean {
  if (of.kind === "other") return true;
  if (type === "string") return isCharacter(of);
  if (type === "filename" || !isKernelStructure(type)) return true;
  if (traitsOf(type).family !== "capabilitySet") return structureType(of) === type;
  return structureType(of) === "kernel_cap_t" || (of.kind === "struct" && of.name === "");
}

function fail(message: string): never {
  throw new MemberError("type", message);
}
