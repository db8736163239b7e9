import { describe, expect, test } from "vitest";
import { entriesOf } from "./kallsyms.ts";
import { otherEntries } from "./syscall-entries.ts";

const KALLSYMS = `ffffffff810a0000 T commit_creds
ffffffff810a0200 T __x64_sys_setuid
ffffffff810a0210 T __ia32_sys_setuid
ffffffff810a0220 T __x64_sys_setuid16
ffffffff810a0230 T __ia32_sys_setuid16
ffffffff810a0300 T __x64_sys_getpid
ffffffff810a0300 T __ia32_sys_getpid
ffffffff810a0400 T __x64_sys_execve
ffffffff810a0410 T __ia32_sys_execve
ffffffff810a0420 T __ia32_compat_sys_execve
ffffffff810a0430 T __x64_compat_sys_execve
ffffffff810a0500 T __x64_sys_clone
ffffffff810a0510 T __ia32_sys_clone
ffffffff810a0520 T __ia32_compat_sys_ia32_clone
ffffffff810a0600 T __x64_sys_futex
ffffffff810a0610 t __ia32_sys_futex
ffffffff810a0620 T __ia32_sys_futex_time32
ffffffff810a0700 T __x64_sys_fcntl
ffffffff810a0710 T __ia32_compat_sys_fcntl
ffffffff810a0720 T __ia32_compat_sys_fcntl64
ffffffff810a0730 T __x64_compat_sys_fcntl
ffffffff810a0800 T __x64_sys_connect
ffffffff810a0810 T __ia32_sys_connect
ffffffff810a0820 T __ia32_compat_sys_socketcall
ffffffff810a0830 T __ia32_sys_socketcall
ffffffff810a0900 T __x64_sys_preadv2
ffffffff810a0910 T __ia32_compat_sys_preadv2
ffffffff810a0920 T __x64_compat_sys_preadv2
ffffffff810a0930 T __x64_compat_sys_preadv64v2
ffffffff810a0a00 T __x64_sys_recvmmsg
ffffffff810a0a10 T __ia32_sys_recvmmsg
ffffffff810a0a20 T __ia32_compat_sys_recvmmsg_time32
ffffffff810a0a30 T __ia32_compat_sys_recvmmsg_time64
ffffffff810a0a40 T __x64_compat_sys_recvmmsg_time64
ffffffff810a0c00 T __x64_sys_process_vm_writev
ffffffff810a0c10 T __ia32_sys_process_vm_writev
ffffffff810a0c20 T __ia32_compat_sys_process_vm_writev
ffffffff810a0b00 T __x64_sys_clock_settime
ffffffff810a0b10 T __ia32_sys_clock_settime
ffffffff810a0b20 T __ia32_sys_clock_settime32
`;

describe("the entries of other ABIs", () => {
  const addresses = new Map(entriesOf(KALLSYMS));
  const cases: Record<string, { call: string; entries: [string, Partial<object>][]; unseen?: string[] }> = {
    "are those of 32-bit and of 16-bit ids": {
      call: "setuid",
      entries: [
        ["__ia32_sys_setuid", { compat: false, ids16: [] }],
        ["__ia32_sys_setuid16", { compat: false, ids16: [0] }],
      ],
    },
    "are none where all share one function": { call: "getpid", entries: [] },
    "are the compat functions where there are any": {
      call: "execve",
      entries: [
        ["__ia32_compat_sys_execve", { abi: "i386", compat: true }],
        ["__x64_compat_sys_execve", { abi: "x32", compat: true }],
      ],
    },
    "are named where they have other arguments": {
      call: "clone",
      entries: [["__ia32_sys_clone", { compat: false }]],
      unseen: ["__ia32_compat_sys_ia32_clone"],
    },
    "are also those with 32-bit times": {
      call: "futex",
      entries: [
        ["__ia32_sys_futex", {}],
        ["__ia32_sys_futex_time32", {}],
      ],
    },
    "are those of other names with the same arguments, and of x32 only where it has a number of its own": {
      call: "fcntl",
      entries: [
        ["__ia32_compat_sys_fcntl", { compat: true }],
        ["__ia32_compat_sys_fcntl64", { compat: true }],
      ],
    },
    "are named where one function leads to many calls": {
      call: "connect",
      entries: [["__ia32_sys_connect", {}]],
      unseen: ["__ia32_compat_sys_socketcall"],
    },
    "are those with 64-bit offsets for x32": {
      call: "preadv2",
      entries: [
        ["__ia32_compat_sys_preadv2", { compat: true }],
        ["__x64_compat_sys_preadv64v2", { abi: "x32", compat: false }],
      ],
    },
    "are the compat functions by width of the time": {
      call: "recvmmsg",
      entries: [
        ["__ia32_sys_recvmmsg", { compat: false }],
        ["__ia32_compat_sys_recvmmsg_time32", { compat: true }],
        ["__ia32_compat_sys_recvmmsg_time64", { compat: true }],
        ["__x64_compat_sys_recvmmsg_time64", { abi: "x32", compat: true }],
      ],
      unseen: ["__ia32_compat_sys_socketcall"],
    },
    "are both where the compat function may be in no table": {
      call: "process_vm_writev",
      entries: [
        ["__ia32_compat_sys_process_vm_writev", { compat: true }],
        ["__ia32_sys_process_vm_writev", { compat: false }],
      ],
    },
    "are also those that only end in 32": {
      call: "clock_settime",
      entries: [
        ["__ia32_sys_clock_settime", {}],
        ["__ia32_sys_clock_settime32", {}],
      ],
    },
    "are none of a call that the kernel does not have": { call: "elephant", entries: [] },
  };

  test.each(Object.entries(cases))("%s", (_name, { call, entries, unseen = [] }) => {
    const found = otherEntries(call, addresses);
    expect(found.entries.map(({ name }) => name)).toEqual(entries.map(([name]) => name));
    for (const [index, [, traits]] of entries.entries()) expect(found.entries[index]).toMatchObject(traits);
    expect(found.unseen).toEqual(unseen);
  });
});
