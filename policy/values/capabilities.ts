/** Linux capabilities by name and number. */

import { CAPABILITIES } from "../../crds/linux.ts";
import { didYouMean, quote } from "../suggest.ts";
import { type Parsed, parseNumber } from "./integers.ts";

/** Bit number of a capability; with or without CAP_, in any case. */
export function parseCapability(text: string): Parsed<number> {
  const name = text.trim().toUpperCase().replace(/^CAP_/, "");
  const number = CAPABILITIES.indexOf(name);
  if (number >= 0) return { value: number };
  const byNumber = CAPABILITIES[/^\d{1,2}$/.test(name) ? Number(name) : -1];
  if (byNumber !== undefined) return { error: `${quote(text)} is a number: write CAP_${byNumber}` };
  if (name === "ALL")
    return { error: `${quote(text)} is no capability: write the names of those that matter` };
  const hint = didYouMean(
    `CAP_${name}`,
    CAPABILITIES.map((known) => `CAP_${known}`),
  );
  return { error: `${quote(text)} is not a capability${hint || ": write a name such as CAP_SYS_ADMIN"}` };
}

/** A set of capabilities: a number with one bit for each, or names with commas between them. */
export function parseCapabilitySet(text: string): Parsed<bigint> {
  const number = parseNumber(text.trim());
  if (number !== undefined) {
    if (number >= 0n && number < 1n << 64n) return { value: number };
    return { error: `${text} is out of range: a capability set has 64 bits` };
  }
  let set = 0n;
  for (const name of text.split(",")) {
    const capability = parseCapability(name);
    if ("error" in capability) return capability;
    set |= 1n << BigInt(capability.value);
  }
  return { value: set };
}
