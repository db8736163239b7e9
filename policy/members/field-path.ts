/** Resolves a field path, such as `cred.uid.val`, in BTF types to the offsets that a program follows. Pure. */

import { didYouMean } from "../suggest.ts";
import { type ArrayLength, arrayLength, isTerminated } from "./array-lengths.ts";
import type { BtfMember, BtfType, KernelTypes } from "./kernel-types.ts";

/** Upper bound of the levels of a path, the same as Tetragon's. */
const MAX_LEVELS = 10;
/** So many names of members are listed where none is close to the one that is missing. */
const FEW = 4;
const ARRAY_LEVELS = /^([A-Za-z_]\w*)((?:\[\d+\])*)$/;

/** A resolved field path: how a program gets from an address to a value. */
export interface FieldPath {
  /** Offsets in bytes. After each but the last, the program follows the pointer at the address that it has reached. */
  offsets: number[];
  /** Width of the value in bytes; 0 if the value is the address of the field itself. */
  load: 0 | 1 | 2 | 4 | 8;
  signed: boolean;
  /** The value is only some of these bits. */
  bits?: BitField;
  /** An element on the way is there only if the kernel's own length of the array says so. */
  bound?: Bound;
  /** The size of the array at the end; a string there has no more bytes, also without a NUL. */
  room?: number;
}

/** Where the bits of a bit-field are in the bytes that are loaded. */
export interface BitField {
  /** How many lie below the field. */
  shift: number;
  count: number;
}

/** The element `index` is there if a number in the same structure is above it. */
export interface Bound {
  /** The step of the path, from 1, before which the number is read. */
  step: number;
  /** Where the number is, in bytes from where that step starts. */
  offset: number;
  width: 1 | 2 | 4 | 8;
  index: number;
  /** With a larger number the elements are elsewhere; 0 if there is no such limit. */
  most: number;
}

type Types = Pick<KernelTypes, "describeType">;

/** Why a field path leads to no value, or not to one of the wanted type. The message does not repeat the path. */
export class MemberError extends Error {
  override readonly name = "MemberError";
  /** A member that is missing may be there in another kernel; a path that is none, or another type, is wrong in each. */
  readonly fault: "missing" | "path" | "type";

  constructor(fault: MemberError["fault"], message: string) {
    super(message);
    this.fault = fault;
  }
}

/** A location in memory: a type, and its offset in bytes from the target of the last pointer. */
interface Place {
  type: BtfType;
  offset: number;
  /** Where the structure has the length of this member, and what it counts. */
  length?: Pick<Bound, "offset" | "width"> & ArrayLength;
  /** A NUL ends the characters of this array without a length. */
  terminated?: boolean;
  /** The member is a bit-field; `offset` is that of the bytes that it is loaded from. */
  bits?: BitField & { load: FieldPath["load"] };
}

/** A path on its way: the pointers followed so far, and the one element that needs a check. */
interface Walk {
  types: Types;
  offsets: number[];
  bound?: Bound;
}

/** The member at the end of a field path. */
export interface Member {
  fieldPath: FieldPath;
  /** Type of the member. */
  type: BtfType;
  /** The type itself or, for a pointer or an array, the type that it points to or consists of. */
  of: BtfType;
}

/**
 * Resolves `path` from a pointer to the given struct. Throws a MemberError that names the missing member and the struct
 * that lacks it.
 */
export function resolveMember(types: Types, structId: number, path: string): Member {
  const levels = withoutFirstIndex(path).split(".");
  const walk: Walk = { types, offsets: [] };
  if (levels.length > MAX_LEVELS) fail(`has ${levels.length} levels, at most ${MAX_LEVELS} are possible`);
  let place: Place = { type: types.describeType(structId), offset: 0 };
  for (const level of levels) place = takeLevel(walk, place, level);
  const { type, offset } = place;
  const of = type.kind === "pointer" || type.kind === "array" ? types.describeType(type.target) : type;
  const fieldPath = {
    offsets: [...walk.offsets, offset],
    ...loadOf(type),
    ...(place.bits && { load: place.bits.load, bits: { shift: place.bits.shift, count: place.bits.count } }),
    ...(walk.bound && { bound: walk.bound }),
    ...(type.kind === "array" && !place.terminated && { room: type.size }),
  };
  return { fieldPath, type, of };
}

/** A pointer leads to its first element; whether there are others, the kernel's types do not say. */
function withoutFirstIndex(path: string): string {
  const [written = "", index] = /^\[(\d+)\]\.?/.exec(path) ?? [];
  if (Number(index ?? 0) > 0) failBehindPointer(Number(index));
  if (written !== "" && written === path) fail(`${path}: name a member of what is there`);
  return path.slice(written.length);
}

function takeLevel(walk: Walk, from: Place, level: string): Place {
  const [, name = "", indices = ""] = ARRAY_LEVELS.exec(level) ?? fail(`${level} is no member`);
  let place = takeMember(walk, followPointer(walk, from), name);
  if (place.length?.above !== undefined) addBound(walk, place.length, 0);
  for (const [, index] of indices.matchAll(/\[(\d+)\]/g)) {
    place = takeElement(walk, place, Number(index));
  }
  return place;
}

function followPointer({ types, offsets }: Walk, place: Place): Place {
  if (place.type.kind !== "pointer") return place;
  offsets.push(place.offset);
  return { type: types.describeType(place.type.target), offset: 0 };
}

function takeMember(walk: Walk, { type, offset }: Place, name: string): Place {
  const { types } = walk;
  if (type.kind !== "struct") return fail(`${name}: ${describe(type)} has no members`);
  const found = findMember(types, type.members, name);
  if (!found) {
    const names = allNames(types, type.members);
    const hint = didYouMean(name, names) || (names.length <= FEW ? `, only ${names.join(", ")}` : "");
    throw new MemberError("missing", `${describe(type)} has no member ${name}${hint}`);
  }
  if (found.bitSize > 0) return bitField(types, found, offset);
  const length = lengthOf(types, type, name, offset);
  return {
    type: types.describeType(found.type),
    offset: offset + found.bitOffset / 8,
    ...(length && { length }),
    terminated: isTerminated(type.name, name),
  };
}

/** The fewest bytes that have all bits of the field, at an address that is a multiple of their number. */
function bitField(types: Types, { type, bitOffset, bitSize }: BtfMember, offset: number): Place {
  const at = offset * 8 + bitOffset;
  const load = ([1, 2, 4, 8] as const).find((bytes) => (at % (bytes * 8)) + bitSize <= bytes * 8) ?? 8;
  const shift = at % (load * 8);
  return { type: types.describeType(type), offset: (at - shift) / 8, bits: { load, shift, count: bitSize } };
}

function lengthOf(
  types: Types,
  { name, members }: Extract<BtfType, { kind: "struct" }>,
  member: string,
  offset: number,
): Place["length"] {
  const length = arrayLength(name, member);
  const found = length && findMember(types, members, length.member);
  if (!found) return undefined;
  const { load } = loadOf(types.describeType(found.type));
  return load === 0 ? undefined : { ...length, offset: offset + found.bitOffset / 8, width: load };
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

function takeElement(walk: Walk, place: Place, index: number): Place {
  const { types } = walk;
  const { type } = place;
  if (type.kind === "array") {
    checkElement(walk, place, type.count, index);
    const element = types.describeType(type.target);
    return { type: element, offset: place.offset + index * sizeOf(element) };
  }
  if (type.kind !== "pointer") return fail(`[${index}]: ${describe(type)} is no array`);
  if (place.length) addBound(walk, place.length, index);
  else if (index > 0) failBehindPointer(index);
  const target = followPointer(walk, place);
  return { type: target.type, offset: index * sizeOf(target.type) };
}

/** A flexible array has no length of its own: other memory lies behind its last element. */
function checkElement(walk: Walk, { length }: Place, count: number, index: number): void {
  if (length && !length.inside) addBound(walk, length, index);
  else if (count === 0) fail(`[${index}]: the kernel's types do not contain the array's length`);
  else if (index >= count) fail(`[${index}] is beyond ${count} elements`);
  else if (length) addBound(walk, length, index, count);
}

function addBound(walk: Walk, length: NonNullable<Place["length"]>, index: number, most = 0): void {
  const { offset, width, more = 0, above = 0 } = length;
  if (index < more) return; // always there
  const last = Math.max(index - more, above);
  const step = walk.offsets.length + 1;
  if (walk.bound && (walk.bound.step !== step || walk.bound.offset !== offset))
    fail(`[${index}]: leads through a second array whose length the kernel keeps elsewhere, one is possible`);
  walk.bound = { step, offset, width, index: last, most };
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

function failBehindPointer(index: number): never {
  fail(`[${index}]: the kernel's types do not say how many elements a pointer leads to`);
}

function fail(message: string): never {
  throw new MemberError("path", message);
}
