/**
 * The types of kernels whose BTF was recorded, as far as policies about credentials need them.
 *
 * Words of the table: members stand between commas, each as `NAME TYPE`, `NAME:BITS TYPE` for a bit-field, with
 * `@KERNELS` behind it where not all have it, a bit for each. A type is `4` or `-4` (an integer of so many bytes, -:
 * signed), `*TYPE`, `[COUNT]TYPE`, the name of a structure, in braces if it has none of its own, or empty.
 */
import type { BtfMember, BtfType, KernelTypes } from "./kernel-types.ts";
import { STRUCTURES } from "./structures.gen.ts";

/** Thrown where a path leads into a structure that is not recorded: only a node can tell. */
export class NotRecordedError extends Error {
  override readonly name = "NotRecordedError";
}

const MEMBER = /^(\w*)(?::(\d+))? (.*?)(?:@(\d+))?$/;
const POINTER_BYTES = 8;

/**
 * One recorded kernel's types. Where members lie is not recorded: each has 8 bytes of its own here, also in unions, and
 * a structure has the bytes of its members.
 */
export class RecordedTypes implements KernelTypes {
  /** By number; void is 0. */
  readonly #words = [""];
  readonly #ids = new Map([["", 0]]);
  /** Those that were asked for: a path may go through a large structure again and again. */
  readonly #described = new Map<number, BtfType>();
  readonly #bit: number;

  /** `kernel`: its place among the recorded ones. */
  constructor(kernel: number) {
    this.#bit = 1 << kernel;
  }

  /** Undefined for a structure that the kernel has not, or that is not recorded. */
  structId(name: string): number | undefined {
    return this.#membersOf(name)?.length ? this.#idOf(name) : undefined;
  }

  /** Members of a structure that is not recorded throw a NotRecordedError when they are looked at. */
  describeType(id: number): BtfType {
    const known = this.#described.get(id);
    if (known) return known;
    const type = this.#describe(this.#words[id] ?? "");
    this.#described.set(id, type);
    return type;
  }

  #describe(words: string): BtfType {
    if (words === "") return { kind: "other" };
    if (words.startsWith("*"))
      return { kind: "pointer", size: POINTER_BYTES, target: this.#idOf(words.slice(1)) };
    const [, count, element] = /^\[(\d+)\](.*)$/.exec(words) ?? [];
    if (count !== undefined) return this.#array(Number(count), this.#idOf(element ?? ""));
    const bytes = Number(words);
    if (!Number.isNaN(bytes)) return { kind: "integer", size: Math.abs(bytes), signed: bytes < 0 };
    return this.#struct(words);
  }

  #array(count: number, target: number): BtfType {
    return { kind: "array", size: count * this.#sizeOf(target), target, count };
  }

  #struct(key: string): BtfType {
    const members = this.#membersOf(key);
    const name = key.startsWith("{") ? "" : key;
    if (members) {
      const size = members.reduce((sum, { type }) => sum + this.#sizeOf(type), 0);
      return { kind: "struct", name, size, members };
    }
    return {
      kind: "struct",
      name,
      size: 1,
      get members(): never {
        throw new NotRecordedError(`struct ${name} is not recorded`);
      },
    };
  }

  #sizeOf(id: number): number {
    const type = this.describeType(id);
    return type.kind === "other" ? 1 : type.size;
  }

  #membersOf(key: string): BtfMember[] | undefined {
    if (!Object.hasOwn(STRUCTURES, key)) return undefined;
    const texts = (STRUCTURES[key] ?? "").split(",");
    return texts.flatMap((text, position) => {
      const [member, name = "", bits = "0", words = "", kernels] = MEMBER.exec(text) ?? [];
      const isThere = kernels === undefined || Number(kernels) & this.#bit;
      if (member === undefined || !isThere) return [];
      return [{ name, bitOffset: position * 64, bitSize: Number(bits), type: this.#idOf(words) }];
    });
  }

  #idOf(words: string): number {
    const known = this.#ids.get(words);
    if (known !== undefined) return known;
    this.#ids.set(words, this.#words.length);
    return this.#words.push(words) - 1;
  }
}
