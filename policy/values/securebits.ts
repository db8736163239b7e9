/** The securebits of credentials by name. */

import { SECUREBITS } from "../../crds/linux.ts";
import { didYouMean, quote } from "../suggest.ts";
import type { Parsed } from "./integers.ts";

/** Names with commas between them, in the kernel's spelling (SECURE_KEEP_CAPS) or as events show them (SecBitKeepCaps). */
export function parseSecurebits(text: string): Parsed<bigint> {
  let bits = 0n;
  for (const part of text.split(",")) {
    const bit = bitOf(part);
    if (bit === undefined) {
      const names = SECUREBITS.map(({ name }) => name);
      const hint = didYouMean(part.trim(), names) || `: write a number, or names such as KEEP_CAPS`;
      return { error: `${quote(part.trim())} is not a securebit${hint}` };
    }
    bits |= bit;
  }
  return { value: bits };
}

function bitOf(text: string): bigint | undefined {
  const plain = flat(text.trim().replace(/^(?:SECURE_|SECBIT_?)/i, ""));
  const number = SECUREBITS.findIndex(({ name }) => flat(name) === plain);
  return number < 0 ? undefined : 1n << BigInt(number);
}

function flat(name: string): string {
  return name.replaceAll("_", "").toUpperCase();
}
