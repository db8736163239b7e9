/** Resolves a field path, such as `cred.uid.val`, in BTF types to the offsets that a program follows. Pure. */

import { didYouMean } from "../../../policy/suggest.ts";
import type { BtfMember, BtfType, KernelBtf } from "../../bpf/binding.ts";
import { HookError } from "../hook-error.ts";

/** Upper bound of the levels of a path, the same as Tetragon's. */
const MAX_LEVELS = 10;
const ARRAY_LEVELS = /^([A-Za-z_]\w*)((?:\[\d+\])*)$/;

/** A resolved field path: how a program gets from an address to a value. */
export interface FieldPath {
  /** Offsets in bytes. After each but the last, the program follows the pointer at the address that it has reached. */
  offsets: number[];
  /** Width of the value in bytes; 0 if the value is the address of the field itself. */
  load: 0 | 1 | 2 | 4 | 8;
  signed: boolean;
}

type Types = Pick<KernelBtf, "describeType">;

/** A location in memory: a type, and its offset in bytes from the target of the last pointer. */
interface Place {
  type: BtfType;
  offset: number;
}

/**
 * Resolves `path` from a pointer to the given struct. Throws a HookError that names the missing member and the struct
 * that lacks it.
 */
export function resolveFieldPath(types: Types, structId: number, path: string): FieldPath {
  return resolveMember(types, structId, path).fieldPath;
}

/** The member at the end of a field path. */
export interface Member {
  fieldPath: FieldPath;
  /** Type of the member. */
  type: BtfType;
  /** The type itself or, for a pointer or an array, the type that it points to or consists of. */
  of: BtfType;
}

/** Resolves `path` as resolveFieldPath() does, and returns the member's type too. */
export function resolveMember(types: Types, structId: number, path: string): Member {
  const levels = path.split(".");
  if (levels.length > MAX_LEVELS)
    fail(path, `has ${levels.length} levels, at most ${MAX_LEVELS} are possible`);
  const offsets: number[] = [];
  let place: Place = { type: types.describeType(structId), offset: 0 };
  for (const level of levels) place = takeLevel(types, place, level, offsets, path);
  const { type, offset } = place;
  const of = type.kind === "pointer" || type.kind === "array" ? types.describeType(type.target) : type;
  return { fieldPath: { offsets: [...offsets, offset], ...loadOf(type) }, type, of };
}

function takeLevel(types: Types, from: Place, level: string, offsets: number[], path: string): Place {
  const [, name = "", indices = ""] = ARRAY_LEVELS.exec(level) ?? fail(path, `${level} is no member`);
  let place = takeMember(types, followPointer(types, from, offsets), name, path);
  for (const [, index] of indices.matchAll(/\[(\d+)\]/g)) {
    place = takeElement(types, place, Number(index), offsets, path);
  }
  return place;
}

function followPointer(types: Types, place: Place, offsets: number[]): Place {
  if (place.type.kind !== "pointer") return place;
  offsets.push(place.offset);
  return { type: types.describeType(place.type.target), offset: 0 };
}

function takeMember(types: Types, { type, offset }: Place, name: string, path: string): Place {
  if (type.kind !== "struct") return fail(path, `${name}: ${describe(type)} has no members`);
  const found = findMember(types, type.members, name);
  if (!found) {
    const hint = didYouMean(name, allNames(types, type.members));
    return fail(path, `${describe(type)} has no member ${name}${hint}`);
  }
  if (found.bitSize > 0) return fail(path, `${name} of ${describe(type)} is a bit-field`);
  return { type: types.describeType(found.type), offset: offset + found.bitOffset / 8 };
}

/** Members of anonymous structs and unions count as members of the enclosing struct. */
function findMember(types: Types, members: readonly BtfMember[], name: string): BtfMember | undefined {
  for (const member of members) {
    if (member.name === name) return member;
    const inner = member.name === "" ? types.describeType(member.type) : undefined;
    const found = inner?.kind === "struct" ? findMember(types, inner.members, name) : undefined;
    if (found) return { ...found, bitOffset: member.bitOffset + found.bitOffset };
  }
  return undefined;
}

function allNames(types: Types, members: readonly BtfMember[]): string[] {
  return members.flatMap(({ name, type }) => {
    const inner = name === "" ? types.describeType(type) : undefined;
    return inner?.kind === "struct" ? allNames(types, inner.members) : [name];
  });
}

function takeElement(types: Types, place: Place, index: number, offsets: number[], path: string): Place {
  const { type } = place;
  if (type.kind === "array") {
    // A flexible array member: another field has its length, and other memory lies behind its last element.
    if (type.count === 0) fail(path, `[${index}]: the kernel's types do not contain the array's length`);
    if (index >= type.count) fail(path, `[${index}] is beyond ${type.count} elements`);
    const element = types.describeType(type.target);
    return { type: element, offset: place.offset + index * sizeOf(element) };
  }
  if (type.kind !== "pointer") return fail(path, `[${index}]: ${describe(type)} is no array`);
  if (index > 0) fail(path, `[${index}]: the kernel's types do not say how many elements a pointer leads to`);
  const target = followPointer(types, place, offsets);
  return { type: target.type, offset: index * sizeOf(target.type) };
}

function loadOf(type: BtfType): Pick<FieldPath, "load" | "signed"> {
  if (type.kind === "pointer") return { load: 8, signed: false };
  const signed = type.kind === "integer" && type.signed;
  const isNumber = type.kind === "integer" || isWrapped(type);
  const size = isNumber ? sizeOf(type) : 0;
  return { load: size === 1 || size === 2 || size === 4 || size === 8 ? size : 0, signed };
}

/** True for a struct that only wraps a number, such as kuid_t. */
function isWrapped(type: BtfType): boolean {
  return type.kind === "struct" && type.members.length === 1 && type.size <= 4;
}

function sizeOf(type: BtfType): number {
  return type.kind === "other" ? 0 : type.size;
}

const KINDS = {
  pointer: "a pointer",
  array: "an array",
  integer: "an integer",
  other: "a type without a size",
};

/** Describes a type for error messages. */
export function describe(type: BtfType): string {
  return type.kind === "struct" ? `struct ${type.name || "{...}"}` : KINDS[type.kind];
}

function fail(path: string, message: string): never {
  throw new HookError("InvalidArgument", `resolve ${path}: ${message}`);
}
