/** Stacks of addresses as JSON, innermost frame first. */
import type { Image } from "../../process/image.ts";
import type { CodePlace, StackOptions } from "../../stacks/code-place.ts";
import { type ByteWriter, utf8 } from "../byte-writer.ts";
import { unreadStack } from "../unread-stack.ts";

const LIST_OPEN = utf8("[{");
const LIST_NEXT = utf8("},{");
const LIST_CLOSE = utf8("}]");
const ADDRESS = utf8('"address":"');
const QUOTE = utf8('"');
const COMMA = utf8(",");

/** Writes lists of frames; a frame of which nothing is known is an empty object, so that depths are right. */
export class StackWriter {
  readonly #options: StackOptions;

  constructor(options: StackOptions = {}) {
    this.#options = options;
  }

  /** `count` addresses of kernel code from a word index on. */
  kernel(out: ByteWriter, words: Uint32Array, at: number, count: number): void {
    this.#frames(out, words, at, count, (low, high) => this.#options.kernel?.find(low, high));
  }

  /** The same of the code of a process. */
  user(out: ByteWriter, words: Uint32Array, at: number, count: number, image: Image): void {
    this.#frames(out, words, at, count, (low, high) => this.#options.user?.find(image, low, high));
  }

  /** A stack that the kernel could not read. */
  unread(out: ByteWriter, error: number): void {
    out.bytes(utf8(`[${JSON.stringify(unreadStack(error))}]`));
  }

  #frames(
    out: ByteWriter,
    words: Uint32Array,
    at: number,
    count: number,
    find: (low: number, high: number) => CodePlace | undefined,
  ): void {
    for (let i = 0; i < count; i++) {
      out.bytes(i === 0 ? LIST_OPEN : LIST_NEXT);
      const low = words[at + 2 * i] as number;
      const high = words[at + 2 * i + 1] as number;
      this.#frame(out, low, high, find(low, high));
    }
    out.bytes(LIST_CLOSE);
  }

  #frame(out: ByteWriter, low: number, high: number, place: CodePlace | undefined): void {
    const fields = place === undefined ? "" : placeFields(place);
    if (this.#options.exposeAddresses) {
      out.bytes(ADDRESS);
      out.uint64(low, high);
      out.bytes(QUOTE);
      if (fields !== "") out.bytes(COMMA);
    }
    out.bytes(utf8(fields));
  }
}

/** The inside of an object; 64-bit integers are strings, and zeros are left out. */
function placeFields({ offset, symbol, module }: CodePlace): string {
  const fields = { offset: offset === 0 ? undefined : String(offset), symbol, module };
  return JSON.stringify(fields).slice(1, -1);
}
