/** Linux capabilities by name and number. */

import { didYouMean, quote } from "../suggest.ts";
import { type Parsed, parseNumber } from "./integers.ts";

/** Position in the list is the number of the capability. */
const NAMES = [
  "CHOWN",
  "DAC_OVERRIDE",
  "DAC_READ_SEARCH",
  "FOWNER",
  "FSETID",
  "KILL",
  "SETGID",
  "SETUID",
  "SETPCAP",
  "LINUX_IMMUTABLE",
  "NET_BIND_SERVICE",
  "NET_BROADCAST",
  "NET_ADMIN",
  "NET_RAW",
  "IPC_LOCK",
  "IPC_OWNER",
  "SYS_MODULE",
  "SYS_RAWIO",
  "SYS_CHROOT",
  "SYS_PTRACE",
  "SYS_PACCT",
  "SYS_ADMIN",
  "SYS_BOOT",
  "SYS_NICE",
  "SYS_RESOURCE",
  "SYS_TIME",
  "SYS_TTY_CONFIG",
  "MKNOD",
  "LEASE",
  "AUDIT_WRITE",
  "AUDIT_CONTROL",
  "SETFCAP",
  "MAC_OVERRIDE",
  "MAC_ADMIN",
  "SYSLOG",
  "WAKE_ALARM",
  "BLOCK_SUSPEND",
  "AUDIT_READ",
  "PERFMON",
  "BPF",
  "CHECKPOINT_RESTORE",
];

/** Bit number of a capability; with or without CAP_, in any case. */
export function parseCapability(text: string): Parsed<number> {
  const name = text.trim().toUpperCase().replace(/^CAP_/, "");
  const number = NAMES.indexOf(name);
  if (number >= 0) return { value: number };
  const hint = didYouMean(
    `CAP_${name}`,
    NAMES.map((known) => `CAP_${known}`),
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
