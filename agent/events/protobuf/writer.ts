/** One growing output buffer in the wire format of protobuf. */
import { utf8 } from "../byte-writer.ts";
import { GrowingBytes } from "../growing-bytes.ts";

const INITIAL_BYTES = 16 << 10;
const HEX = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The key of a field that holds a varint. */
export function varintKey(field: number): number {
  return field * 8;
}

/** The key of a field that holds bytes with their length before them: strings, messages, packed lists. */
export function bytesKey(field: number): number {
  return field * 8 + 2;
}

/** Appends to a buffer that is reused event after event. */
export class ProtoWriter extends GrowingBytes {
  constructor() {
    super(INITIAL_BYTES);
  }

  /** An unsigned integer below 2^32. */
  varint(value: number): void {
    this.reserve(5);
    let rest = value;
    while (rest >= 0x80) {
      this.buffer[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.buffer[this.length++] = rest;
  }

  /** A 64-bit integer, signed or not, given as two words. */
  varint64(low: number, high: number): void {
    this.reserve(10);
    let restLow = low;
    let restHigh = high;
    while (restHigh !== 0) {
      this.buffer[this.length++] = (restLow & 0x7f) | 0x80;
      restLow = ((restLow >>> 7) | (restHigh << 25)) >>> 0;
      restHigh >>>= 7;
    }
    this.varint(restLow);
  }

  /** A signed 32-bit integer: a negative one takes ten bytes. */
  int32(value: number): void {
    if (value < 0) this.varint64(value >>> 0, 0xffff_ffff);
    else this.varint(value);
  }

  /** A field with bytes. */
  bytesField(key: number, content: Uint8Array): void {
    this.varint(key);
    this.varint(content.length);
    this.bytes(content);
  }

  /** A string field. */
  stringField(key: number, text: string): void {
    this.varint(key);
    const start = this.length;
    const size = text.length;
    this.varint(size);
    this.reserve(size);
    let at = this.length;
    for (let i = 0; i < size; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) {
        this.#rewriteUtf8(start, text);
        return;
      }
      this.buffer[at++] = code;
    }
    this.length = at;
  }

  /** Writes length and content again from `start` on. */
  #rewriteUtf8(start: number, text: string): void {
    this.length = start;
    const content = utf8(text);
    this.varint(content.length);
    this.bytes(content);
  }

  /** The same of bytes; invalid UTF-8, which receivers refuse, becomes U+FFFD. */
  textField(key: number, text: Uint8Array): void {
    this.bytesField(key, isAscii(text) ? text : utf8(decoder.decode(text)));
  }

  /** A field with a UInt32Value. */
  wrappedUint32(key: number, value: number): void {
    const start = this.begin(key);
    if (value !== 0) {
      this.byte(varintKey(1));
      this.varint(value);
    }
    this.end(start);
  }

  /** A field with an Int32Value. */
  wrappedInt32(key: number, value: number): void {
    const start = this.begin(key);
    if (value !== 0) {
      this.byte(varintKey(1));
      this.int32(value);
    }
    this.end(start);
  }

  /** A 64-bit mask, given as two words, as a string field of 16 lower-case hexadecimal digits. */
  hex64Field(key: number, low: number, high: number): void {
    this.varint(key);
    this.varint(16);
    this.reserve(16);
    this.#hex32(high);
    this.#hex32(low);
  }

  /** Opens a field with a message; what is written until end() is its content. */
  begin(key: number): number {
    this.varint(key);
    this.byte(0);
    return this.length;
  }

  /** Closes the message that begin() opened. */
  end(start: number): void {
    const size = this.length - start;
    if (size < 0x80) {
      this.buffer[start - 1] = size;
      return;
    }
    const more = size < 0x4000 ? 1 : size < 0x20_0000 ? 2 : size < 0x1000_0000 ? 3 : 4;
    this.reserve(more);
    this.buffer.copyWithin(start + more, start, this.length);
    this.length = start - 1;
    this.varint(size);
    this.length += size;
  }

  #hex32(word: number): void {
    for (let shift = 28; shift >= 0; shift -= 4) {
      this.buffer[this.length++] = HEX[(word >>> shift) & 15] as number;
    }
  }
}

function isAscii(text: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) if ((text[i] as number) >= 0x80) return false;
  return true;
}
