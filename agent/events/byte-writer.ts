/** One growing output buffer with hand-written formatting: what encoders copy fragments and numbers into. */
import { GrowingBytes } from "./growing-bytes.ts";

const encoder = new TextEncoder();

/** The size of a buffer, unless what is written needs more. */
export const WRITER_BYTES = 80 << 10;

const DIGITS_10000 = decimalTable();
const HEX = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));
/** How an ASCII character stands in a JSON string; null: as itself. */
const ESCAPES = Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  const inside = JSON.stringify(character).slice(1, -1);
  return inside === character ? null : utf8(inside);
});
const BASE64 = Uint8Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", (digit) =>
  digit.charCodeAt(0),
);
const PADDING = 0x3d;
const POINT = 0x2e;
const MINUS = 0x2d;
const ZERO = 0x30;

/** Four ASCII digits for each number below 10,000. */
function decimalTable(): Uint8Array {
  const table = new Uint8Array(40_000);
  for (let i = 0; i < 10_000; i++) {
    const text = String(i).padStart(4, "0");
    for (let k = 0; k < 4; k++) table[i * 4 + k] = text.charCodeAt(k);
  }
  return table;
}

/** Bytes of a constant or cached fragment. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Appends to a buffer that is reused batch after batch. */
export class ByteWriter extends GrowingBytes {
  constructor() {
    super(WRITER_BYTES);
  }

  /** What was written, in its own memory; the writer is empty afterwards and goes on in `next`. */
  swap(next: ArrayBuffer): Uint8Array {
    const chunk = this.buffer.subarray(0, this.length);
    this.buffer = new Uint8Array(next);
    this.length = 0;
    return chunk;
  }

  /** Drops everything after a length that `length` had before. */
  truncate(length: number): void {
    this.length = length;
  }

  /** An unsigned integer below 2^32 in decimal. */
  uint32(value: number): void {
    this.reserve(12);
    if (value < 10_000) this.#leading(value);
    else if (value < 100_000_000) {
      const high = Math.floor(value / 10_000);
      this.#leading(high);
      this.#four(value - high * 10_000);
    } else {
      const high = Math.floor(value / 100_000_000);
      const rest = value - high * 100_000_000;
      const middle = Math.floor(rest / 10_000);
      this.#leading(high);
      this.#four(middle);
      this.#four(rest - middle * 10_000);
    }
  }

  /** A signed 32-bit integer in decimal. */
  int32(value: number): void {
    if (value < 0) {
      this.byte(MINUS);
      this.uint32(-value);
    } else this.uint32(value);
  }

  /** An unsigned 64-bit integer, given as two words, in decimal. */
  uint64(low: number, high: number): void {
    if (high === 0) {
      this.uint32(low);
      return;
    }
    // long division by 10^9 in base 2^16: every intermediate value is exact in a double
    let rest = 0;
    let quotient = 0;
    for (let shift = 16; shift >= 0; shift -= 16) {
      const value = rest * 65_536 + ((high >>> shift) & 0xffff);
      quotient = quotient * 65_536 + Math.floor(value / 1e9);
      rest = value % 1e9;
    }
    for (let shift = 16; shift >= 0; shift -= 16) {
      const value = rest * 65_536 + ((low >>> shift) & 0xffff);
      quotient = quotient * 65_536 + Math.floor(value / 1e9);
      rest = value % 1e9;
    }
    const top = Math.floor(quotient / 1e9);
    if (top > 0) {
      this.uint32(top);
      this.nineDigits(quotient - top * 1e9);
    } else this.uint32(quotient);
    this.nineDigits(rest);
  }

  /** A signed 64-bit integer, given as two words, in decimal. */
  int64(low: number, high: number): void {
    if (high < 0x8000_0000) {
      this.uint64(low, high);
      return;
    }
    this.byte(MINUS);
    const negated = (~low + 1) >>> 0;
    this.uint64(negated, (~high + (negated === 0 ? 1 : 0)) >>> 0);
  }

  /** A 64-bit mask, given as two words, as 16 lower-case hexadecimal digits. */
  hex64(low: number, high: number): void {
    this.reserve(16);
    this.#hex32(high);
    this.#hex32(low);
  }

  /** The nine digits of a number below 10^9. */
  nineDigits(value: number): void {
    this.reserve(9);
    const high = Math.floor(value / 100_000_000);
    const rest = value - high * 100_000_000;
    const middle = Math.floor(rest / 10_000);
    this.buffer[this.length++] = ZERO + high;
    this.#four(middle);
    this.#four(rest - middle * 10_000);
  }

  /** The fraction of a second with 0, 3, 6 or 9 digits. */
  fraction(nanos: number): void {
    if (nanos === 0) return;
    this.byte(POINT);
    this.nineDigits(nanos);
    if (nanos % 1000 === 0) this.length -= nanos % 1_000_000 === 0 ? 6 : 3;
  }

  /** Bytes in base64, padded. */
  base64(content: Uint8Array): void {
    this.reserve(Math.ceil(content.length / 3) * 4);
    const whole = content.length - (content.length % 3);
    for (let i = 0; i < whole; i += 3) {
      this.#sextets(
        ((content[i] as number) << 16) | ((content[i + 1] as number) << 8) | (content[i + 2] as number),
        4,
      );
    }
    if (whole === content.length) return;
    const last = content.length - whole;
    this.#sextets(((content[whole] as number) << 16) | ((content[whole + 1] ?? 0) << 8), last + 1);
    for (let i = last; i < 3; i++) this.buffer[this.length++] = PADDING;
  }

  /** Text as the inside of a JSON string; invalid UTF-8 becomes U+FFFD. */
  jsonText(text: Uint8Array): void {
    this.reserve(text.length * 6);
    const target = this.buffer;
    let at = this.length;
    for (let i = 0; i < text.length; i++) {
      const byte = text[i] as number;
      if (byte >= 0x80) {
        this.length = at;
        this.#jsonTextAgain(text.subarray(i));
        return;
      }
      const escaped = ESCAPES[byte] as Uint8Array | null;
      if (escaped === null) target[at++] = byte;
      else for (const part of escaped) target[at++] = part;
    }
    this.length = at;
  }

  /** Beyond ASCII: made valid UTF-8 first, of which only single bytes need an escape. */
  #jsonTextAgain(text: Uint8Array): void {
    const valid = utf8(new TextDecoder("utf-8", { ignoreBOM: true }).decode(text));
    this.reserve(valid.length * 6);
    for (const byte of valid) {
      const escaped = byte < 0x80 ? (ESCAPES[byte] as Uint8Array | null) : null;
      if (escaped === null) this.buffer[this.length++] = byte;
      else this.bytes(escaped);
    }
  }

  /** A number below 10,000 without leading zeros. */
  #leading(value: number): void {
    const from = value * 4;
    const skip = value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3;
    for (let i = skip; i < 4; i++) this.buffer[this.length++] = DIGITS_10000[from + i] as number;
  }

  #four(value: number): void {
    const from = value * 4;
    const target = this.buffer;
    const at = this.length;
    target[at] = DIGITS_10000[from] as number;
    target[at + 1] = DIGITS_10000[from + 1] as number;
    target[at + 2] = DIGITS_10000[from + 2] as number;
    target[at + 3] = DIGITS_10000[from + 3] as number;
    this.length = at + 4;
  }

  /** The first of the four base64 digits of 24 bits. */
  #sextets(bits: number, digits: number): void {
    for (let i = 0; i < digits; i++)
      this.buffer[this.length++] = BASE64[(bits >>> (18 - 6 * i)) & 63] as number;
  }

  #hex32(word: number): void {
    for (let shift = 28; shift >= 0; shift -= 4) {
      this.buffer[this.length++] = HEX[(word >>> shift) & 15] as number;
    }
  }
}
