/** The functions by which callers of other ABIs reach a system call of x86-64. Pure. */

/** A function of the kernel that leads to the call, and how it gets its arguments. */
export interface SyscallEntry {
  name: string;
  abi: "i386" | "x32";
  /** Longs have 32 bits and a sign. */
  compat: boolean;
  /** Parameters that are ids of 16 bits. */
  ids16: readonly number[];
}

/** What callers of other ABIs use. */
export interface OtherEntries {
  entries: SyscallEntry[];
  /** Functions that have other arguments than the call, and so cannot be attached to. */
  unseen: string[];
}

/** Parameters of calls by 16-bit ids that are such ids; other calls have them in memory. */
const IDS16: Readonly<Record<string, readonly number[]>> = {
  ...{ setuid: [0], setgid: [0], setfsuid: [0], setfsgid: [0], setreuid: [0, 1], setregid: [0, 1] },
  ...{ setresuid: [0, 1, 2], setresgid: [0, 1, 2], chown: [1, 2], lchown: [1, 2], fchown: [1, 2] },
};

/**
 * Finds the entries of a call (`setuid`). `addresses` has the kernel's entry points by name: two names of one address
 * are one function, as a call without parameters has one entry for all ABIs.
 */
export function otherEntries(call: string, addresses: ReadonlyMap<string, string>): OtherEntries {
  const seen = new Set([addresses.get(`__x64_sys_${call}`)]);
  const entries = candidates(call, addresses).filter(({ name }) => {
    const address = addresses.get(name);
    if (address === undefined || seen.has(address)) return false;
    seen.add(address);
    return true;
  });
  const unseen = [`__ia32_sys_ia32_${call}`, `__ia32_compat_sys_ia32_${call}`];
  return { entries, unseen: unseen.filter((name) => addresses.has(name)) };
}

/** The table of the 32-bit ABI has the compat function where there is one. */
function candidates(call: string, addresses: ReadonlyMap<string, string>): SyscallEntry[] {
  const ia32 = (name: string, more: Partial<SyscallEntry> = {}): SyscallEntry => {
    return { name, abi: "i386", compat: false, ids16: [], ...more };
  };
  const compat = ia32(`__ia32_compat_sys_${call}`, { compat: true });
  return [
    addresses.has(compat.name) ? compat : ia32(`__ia32_sys_${call}`),
    ia32(`__ia32_sys_${call}16`, { ids16: IDS16[call] ?? [] }),
    ia32(`__ia32_sys_${call}_time32`),
    // Named so before 5.8 and since.
    ...["__x32_compat_sys_", "__x64_compat_sys_"].map(
      (prefix): SyscallEntry => ({ name: prefix + call, abi: "x32", compat: true, ids16: [] }),
    ),
  ];
}

/** Entry points of system calls among the lines `ADDRESS TYPE NAME`, with their addresses. */
export function parseEntries(kallsyms: string): Map<string, string> {
  const matches = kallsyms.matchAll(/^([0-9a-f]+) [tTwW] (__(?:x64|ia32|x32)_(?:compat_)?sys_\w+)$/gm);
  return new Map([...matches].map(([, address = "", name = ""]) => [ownText(name), ownText(address)]));
}

/** A part of a string keeps the whole in memory: of /proc/kallsyms, ten megabytes. */
function ownText(part: string): string {
  return Buffer.from(part, "latin1").toString("latin1");
}
