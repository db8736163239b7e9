/** Names of bits as events spell them. */

/** Capability names by number; 1 has no `CAP_` prefix, as in upstream's enum. */
export const CAPABILITY_NAMES: readonly string[] = [
  "CAP_CHOWN",
  "DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON",
  "CAP_BPF",
  "CAP_CHECKPOINT_RESTORE",
];

/** Secure bits by their bit. */
export const SECUREBIT_NAMES: readonly string[] = [
  "SecBitNoRoot",
  "SecBitNoRootLocked",
  "SecBitNoSetUidFixup",
  "SecBitNoSetUidFixupLocked",
  "SecBitKeepCaps",
  "SecBitKeepCapsLocked",
  "SecBitNoCapAmbientRaise",
  "SecBitNoCapAmbientRaiseLocked",
];

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
