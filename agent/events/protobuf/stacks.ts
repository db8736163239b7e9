/** Stacks of addresses as lists of StackTraceEntry, innermost frame first. */
import type { Image } from "../../process/image.ts";
import type { CodePlace, StackOptions } from "../../stacks/code-place.ts";
import { unreadStack } from "../unread-stack.ts";
import { STACK_FRAME, writeFields } from "./messages.ts";
import { type ProtoWriter, varintKey } from "./writer.ts";

/** Writes frames; one of which nothing is known is an empty message, so that depths are right. */
export class StackWriter {
  readonly #options: StackOptions;

  constructor(options: StackOptions = {}) {
    this.#options = options;
  }

  /** `count` addresses of kernel code from a word index on. */
  kernel(out: ProtoWriter, key: number, words: Uint32Array, at: number, count: number): void {
    const { kernel } = this.#options;
    this.#frames(out, key, words, at, count, (low, high) => kernel?.find(low, high));
  }

  /** The same of the code of a process. */
  user(out: ProtoWriter, key: number, words: Uint32Array, at: number, count: number, image: Image): void {
    const { user } = this.#options;
    this.#frames(out, key, words, at, count, (low, high) => user?.find(image, low, high));
  }

  /** A stack that the kernel could not read, for the number of an error; none for 0. */
  unread(out: ProtoWriter, key: number, error: number): void {
    if (error === 0) return;
    const start = out.begin(key);
    writeFields(out, STACK_FRAME, unreadStack(error));
    out.end(start);
  }

  #frames(
    out: ProtoWriter,
    key: number,
    words: Uint32Array,
    at: number,
    count: number,
    find: (low: number, high: number) => CodePlace | undefined,
  ): void {
    for (let i = 0; i < count; i++) {
      const low = words[at + 2 * i] as number;
      const high = words[at + 2 * i + 1] as number;
      const start = out.begin(key);
      if (this.#options.exposeAddresses) {
        out.varint(varintKey(1));
        out.varint64(low, high);
      }
      const place = find(low, high);
      if (place !== undefined) writeFields(out, STACK_FRAME, { ...place, offset: String(place.offset) });
      out.end(start);
    }
  }
}
