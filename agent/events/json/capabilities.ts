/** Names of bits as events spell them. */
import { CAPABILITIES, SECUREBITS } from "../../../crds/linux.ts";

/** Capability names by number; 1 has no `CAP_` prefix, as in upstream's enum. */
export const CAPABILITY_NAMES: readonly string[] = CAPABILITIES.map((name) =>
  name === "DAC_OVERRIDE" ? name : `CAP_${name}`,
);

/** Securebits by number. */
export const SECUREBIT_NAMES: readonly string[] = SECUREBITS.map(({ eventName }) => eventName);

/** Capabilities in a mask given as two words, lowest first; a bit without a name stands as its number. */
export function capabilityList(low: number, high: number): (string | number)[] {
  const list: (string | number)[] = [];
  for (let bit = 0; bit < 64; bit++) {
    const word = bit < 32 ? low : high;
    if ((word & (1 << (bit & 31))) !== 0) list.push(CAPABILITY_NAMES[bit] ?? bit);
  }
  return list;
}

/** What stands for every capability, as in the securityContext of a container. */
const ALL = "ALL";

/** Names of the capabilities in a mask, or `["ALL"]` for all that have a name; a bit without a name is its number. */
export function shortCapabilityList(low: number, high: number): string[] {
  const list = capabilityList(low, high).map(String);
  return list.length === CAPABILITY_NAMES.length && hasAllNames(list) ? [ALL] : list;
}

function hasAllNames(list: readonly string[]): boolean {
  return CAPABILITY_NAMES.every((name, bit) => list[bit] === name);
}

/** Secure bits in bit order; a bit without a name stands as its value. */
export function securebitList(securebits: number): (string | number)[] {
  const list: (string | number)[] = [];
  for (let bit = 0; bit < 32; bit++) {
    if ((securebits & (1 << bit)) !== 0) list.push(SECUREBIT_NAMES[bit] ?? (1 << bit) >>> 0);
  }
  return list;
}
