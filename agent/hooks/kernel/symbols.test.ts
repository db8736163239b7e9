import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { KernelBtf } from "../../bpf/binding.ts";
import { functionName, KernelSymbols, parseKallsyms } from "./symbols.ts";

const directory = mkdtempSync(join(tmpdir(), "kallsyms-"));
afterAll(() => rmSync(directory, { recursive: true }));

const KALLSYMS = `0000000000000000 A fixed_percpu_data
ffffffff810a0000 T commit_creds
ffffffff810a0100 t copy_creds.isra.0
ffffffff810a0200 T __x64_sys_setuid
ffffffff810a0300 D init_cred
ffffffffc0a00000 t helper\t[module]
`;
const path = join(directory, "kallsyms");
writeFileSync(path, KALLSYMS);

const proto = { btfId: 9, params: [], returnType: "int" };
const btf = {
  funcProto: (name: string) => (name === "__x64_sys_setuid" ? proto : undefined),
} as unknown as KernelBtf;
const symbols = new KernelSymbols(btf, path);

describe("a call becomes a function", () => {
  test("with the architecture's prefix for system calls, once", () => {
    expect(functionName({ call: "sys_setuid", syscall: true }, "x64")).toBe("__x64_sys_setuid");
    expect(functionName({ call: "__x64_sys_setuid", syscall: true }, "x64")).toBe("__x64_sys_setuid");
    expect(functionName({ call: "sys_setuid", syscall: true }, "arm64")).toBe("__arm64_sys_setuid");
    expect(functionName({ call: "commit_creds", syscall: false }, "x64")).toBe("commit_creds");
  });

  test("with its prototype where BTF has it", () => {
    expect(symbols.resolve({ call: "sys_setuid", syscall: true }, "x64")).toEqual({
      name: "__x64_sys_setuid",
      proto,
    });
  });

  test("without one where only kallsyms has it", () => {
    expect(symbols.resolve({ call: "commit_creds", syscall: false }, "x64")).toEqual({
      name: "commit_creds",
    });
  });
});

describe("a function that is missing", () => {
  const cases: Record<string, { call: string; syscall?: boolean; message: string }> = {
    "is refused with a close name": {
      call: "comit_creds",
      message: 'has no function comit_creds: did you mean "commit_creds"?',
    },
    "is refused without a suggestion if no name is close": {
      call: "elephants",
      message: "has no function elephants",
    },
    "is refused with a hint if it is a system call": {
      call: "sys_setuid",
      message: "has no function sys_setuid; __x64_sys_setuid exists: write syscall: true",
    },
    "is refused with a hint if it is not a system call": {
      call: "commit_creds",
      syscall: true,
      message: "has no function __x64_commit_creds; commit_creds exists: write syscall: false",
    },
    "is refused with the version that removed it": {
      call: "override_creds",
      message: "has no function override_creds (inlined since 6.14)",
    },
  };
  test.each(Object.entries(cases))("%s", (_name, { call, syscall = false, message }) => {
    expect(() => symbols.resolve({ call, syscall }, "x64")).toThrow(`this kernel ${message}`);
  });
});

test("kallsyms gives functions, of modules too, and no data", () => {
  expect([...parseKallsyms(KALLSYMS)]).toEqual([
    "commit_creds",
    "copy_creds.isra.0",
    "__x64_sys_setuid",
    "helper",
  ]);
});
