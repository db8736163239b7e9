/** Types of a kernel, as its BTF describes them: what paths of members are followed in. */

/** A member of a struct or union. An anonymous struct is a member without a name, with members of its own. */
export interface BtfMember {
  name: string;
  bitOffset: number;
  /** Width of a bit-field, else 0. */
  bitSize: number;
  type: number;
}

/** A type without its names and qualifiers: unions are structs, enums and booleans are integers. */
export type BtfType =
  | { kind: "struct"; name: string; size: number; members: readonly BtfMember[] }
  | { kind: "pointer"; size: 8; target: number }
  | { kind: "array"; size: number; target: number; count: number }
  | { kind: "integer"; size: number; signed: boolean }
  | { kind: "other" };

/** The types of one kernel, by their numbers in it. */
export interface KernelTypes {
  /** The number 0 is that of void. */
  describeType(id: number): BtfType;
  /** Number of a struct or union. */
  structId(name: string): number | undefined;
}
