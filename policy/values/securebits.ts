/** The securebits of credentials by name. */

import { didYouMean, quote } from "../suggest.ts";
import type { Parsed } from "./integers.ts";

/** Position is the number of the bit: the kernel's name without SECURE_. */
export const SECUREBITS = [
  "NOROOT",
  "NOROOT_LOCKED",
  "NO_SETUID_FIXUP",
  "NO_SETUID_FIXUP_LOCKED",
  "KEEP_CAPS",
  "KEEP_CAPS_LOCKED",
  "NO_CAP_AMBIENT_RAISE",
  "NO_CAP_AMBIENT_RAISE_LOCKED",
].map((name, bit) => ({ name, bit: 1n << BigInt(bit) }));

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
  return SECUREBITS.find(({ name }) => flat(name) === plain)?.bit;
}

function flat(name: string): string {
  return name.replaceAll("_", "").toUpperCase();
}
