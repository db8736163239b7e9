/** The functions by which callers of other ABIs reach a system call of x86-64. Pure. */
import { isOwnOfX32, otherArguments32 } from "../../../crds/syscall-abis.ts";

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

/** Functions of the 32-bit ABI with names of their own, and the arguments of the call. */
const SAME_ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  fcntl: ["fcntl64"],
  getrlimit: ["old_getrlimit"],
  sendfile64: ["sendfile"],
  newstat: ["ia32_stat64"],
  newlstat: ["ia32_lstat64"],
  newfstat: ["ia32_fstat64"],
  newfstatat: ["ia32_fstatat64"],
};

/** Calls whose compat function the table of the 32-bit ABI does not have, or no longer: since 5.9, 5.10 and 5.16. */
const NATIVE_TOO: ReadonlySet<string> = new Set([
  ...["setsockopt", "getsockopt", "process_vm_readv", "process_vm_writev", "readv", "writev", "vmsplice"],
  ...["move_pages", "migrate_pages", "mbind", "set_mempolicy", "sendfile64", "epoll_pwait"],
]);

/**
 * Finds the entries of a call (`setuid`). `addresses` has the kernel's entry points by name: two names of one address
 * are one function, as a call without parameters has one entry for all ABIs.
 */
export function otherEntries(call: string, addresses: ReadonlyMap<string, string>): OtherEntries {
  const seen = new Set([addresses.get(`__x64_sys_${call}`)]);
  const entries = [...candidates32(call, addresses), ...candidatesX32(call)].filter(({ name }) => {
    const address = addresses.get(name);
    if (address === undefined || seen.has(address)) return false;
    seen.add(address);
    return true;
  });
  const names = [...new Set([`ia32_${call}`, ...otherArguments32(call)])];
  return {
    entries,
    unseen: names.map((name) => name32(name, addresses)).filter((name) => addresses.has(name)),
  };
}

function candidates32(call: string, addresses: ReadonlyMap<string, string>): SyscallEntry[] {
  const entry = (name: string): SyscallEntry => {
    return { name, abi: "i386", compat: name.includes("_compat_"), ids16: [] };
  };
  const names = [call, `${call}_time32`, `${call}_time64`, `${call}32`, ...(SAME_ARGUMENTS[call] ?? [])];
  return [
    ...names.map((name) => entry(name32(name, addresses))),
    ...(NATIVE_TOO.has(call) ? [entry(`__ia32_sys_${call}`)] : []),
    { ...entry(name32(`${call}16`, addresses)), ids16: IDS16[call] ?? [] },
  ];
}

/** The table of the 32-bit ABI has the compat function where there is one. */
function name32(name: string, addresses: ReadonlyMap<string, string>): string {
  const compat = `__ia32_compat_sys_${name}`;
  return addresses.has(compat) ? compat : `__ia32_sys_${name}`;
}

/** Functions of the x32 ABI with names of their own; they get 64-bit offsets in one register, as the call does. */
const X32_NAMES: Readonly<Record<string, string>> = {
  preadv: "preadv64",
  pwritev: "pwritev64",
  preadv2: "preadv64v2",
  pwritev2: "pwritev64v2",
};

/** The x32 ABI uses the native function of most calls. */
function candidatesX32(call: string): SyscallEntry[] {
  if (!isOwnOfX32(call)) return [];
  const own = X32_NAMES[call];
  const names = own === undefined ? [call, `${call}_time64`, `x32_${call}`] : [own];
  // Named so before 5.8 and since.
  return ["__x32_compat_sys_", "__x64_compat_sys_"].flatMap((prefix) =>
    names.map((name) => ({ name: prefix + name, abi: "x32", compat: own === undefined, ids16: [] })),
  );
}
