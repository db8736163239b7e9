/** What Linux gives names to in credentials and processes: each name stands here once. */

/** Capabilities by number, without the CAP_ of their names. */
export const CAPABILITIES: readonly string[] = [
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

/** Securebits by number: the kernel's name without its SECURE_, and the name in events. */
export const SECUREBITS = [
  { name: "NOROOT", eventName: "SecBitNoRoot" },
  { name: "NOROOT_LOCKED", eventName: "SecBitNoRootLocked" },
  { name: "NO_SETUID_FIXUP", eventName: "SecBitNoSetUidFixup" },
  { name: "NO_SETUID_FIXUP_LOCKED", eventName: "SecBitNoSetUidFixupLocked" },
  { name: "KEEP_CAPS", eventName: "SecBitKeepCaps" },
  { name: "KEEP_CAPS_LOCKED", eventName: "SecBitKeepCapsLocked" },
  { name: "NO_CAP_AMBIENT_RAISE", eventName: "SecBitNoCapAmbientRaise" },
  { name: "NO_CAP_AMBIENT_RAISE_LOCKED", eventName: "SecBitNoCapAmbientRaiseLocked" },
] as const;

/** The namespaces of a process: name in policies to file in /proc/PID/ns, which is also the name in events. */
export const NAMESPACE_FILES = {
  Uts: "uts",
  Ipc: "ipc",
  Mnt: "mnt",
  Pid: "pid",
  PidForChildren: "pid_for_children",
  Net: "net",
  Time: "time",
  TimeForChildren: "time_for_children",
  Cgroup: "cgroup",
  User: "user",
} as const;

export type NamespaceName = keyof typeof NAMESPACE_FILES;

/** The namespaces by their names in policies. */
export const NAMESPACES = Object.keys(NAMESPACE_FILES) as NamespaceName[];

/** The capability sets of the current process that selectors look at: name in policies to line of /proc/PID/status. */
export const CURRENT_CAPABILITY_LINES = {
  Effective: "CapEff",
  Inheritable: "CapInh",
  Permitted: "CapPrm",
} as const;

export type CurrentCapabilitySet = keyof typeof CURRENT_CAPABILITY_LINES;

/** These sets by their names in policies. */
export const CURRENT_CAPABILITY_SETS = Object.keys(CURRENT_CAPABILITY_LINES) as CurrentCapabilitySet[];
