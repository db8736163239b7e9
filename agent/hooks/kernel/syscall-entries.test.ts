import { describe, expect, test } from "vitest";
import { otherEntries, parseEntries } from "./syscall-entries.ts";

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
`;

describe("the entries of other ABIs", () => {
  const addresses = parseEntries(KALLSYMS);
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
    "are none of a call that the kernel does not have": { call: "elephant", entries: [] },
  };

  test.each(Object.entries(cases))("%s", (_name, { call, entries, unseen = [] }) => {
    const found = otherEntries(call, addresses);
    expect(found.entries.map(({ name }) => name)).toEqual(entries.map(([name]) => name));
    for (const [index, [, traits]] of entries.entries()) expect(found.entries[index]).toMatchObject(traits);
    expect(found.unseen).toEqual(unseen);
  });
});
