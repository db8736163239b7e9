import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { KernelBtf } from "../../bpf/binding.ts";
import { functionName, KernelSymbols } from "./symbols.ts";

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

describe("what is prepared", () => {
  const many = Array.from(
    { length: 20_000 },
    (_, i) => `ffffffff82${String(i).padStart(6, "0")} t function_${i}\n`,
  );
  const large = join(directory, "large");
  const hook = (call: string, syscall = false) => ({ section: "kprobes" as const, call, syscall });

  test("is found without reading again, and other work has its turn while it is read", async () => {
    writeFileSync(large, [...many, KALLSYMS, "ffffffff810a0210 T __ia32_sys_setuid\n"].join(""));
    const prepared = new KernelSymbols(btf, large);
    let turns = 0;
    const count = () => {
      turns++;
      counting = setImmediate(count);
    };
    let counting = setImmediate(count);
    await prepared.prepare(hook("commit_creds"), "x64");
    await prepared.prepare(hook("sys_setuid", true), "x64");
    clearImmediate(counting);
    rmSync(large);
    expect(turns).toBeGreaterThan(2);
    expect(prepared.resolve(hook("commit_creds"), "x64")).toEqual({ name: "commit_creds" });
    expect(prepared.resolve(hook("function_9999"), "x64")).toEqual({ name: "function_9999" });
    expect(prepared.names("function_")).toHaveLength(many.length);
    expect(prepared.otherEntries("setuid", "x64").entries.map(({ name }) => name)).toEqual([
      "__ia32_sys_setuid",
    ]);
  });

  test("is read once for all who ask meanwhile", async () => {
    writeFileSync(large, [...many, "ffffffff810a0210 T __ia32_sys_setuid\n"].join(""));
    const prepared = new KernelSymbols(btf, large);
    const reading = prepared.readEntries("x64");
    expect(prepared.readEntries("x64")).toBe(reading);
    await Promise.all([reading, prepared.prepare(hook("sys_setuid", true), "x64")]);
    rmSync(large);
    expect(prepared.otherEntries("setuid", "x64").entries).toHaveLength(1);
  });

  test("has the same names that are close to a missing one", async () => {
    writeFileSync(large, [...many, KALLSYMS].join(""));
    const prepared = new KernelSymbols(btf, large);
    const refusal = () => {
      try {
        prepared.resolve(hook("function_12O"), "x64");
      } catch (error) {
        return (error as Error).message;
      }
      return "found";
    };
    const unprepared = refusal();
    prepared.release();
    await prepared.prepare(hook("function_12O"), "x64");
    expect(refusal()).toBe(unprepared);
    expect(unprepared).toMatch(/did you mean "function_\d+", "function_\d+" or "function_\d+"\?$/);
  });

  test("is nothing for a hook that BTF describes", async () => {
    const unread = new KernelSymbols(btf, join(directory, "none"));
    await unread.prepare(hook("sys_setuid"), "arm64");
    await unread.prepare({ section: "tracepoints", call: "sched_switch", syscall: false }, "x64");
  });

  test("may be missing: resolving reports what cannot be read", async () => {
    const unread = new KernelSymbols(btf, join(directory, "none"));
    await unread.prepare(hook("commit_creds"), "x64");
    expect(() => unread.resolve(hook("commit_creds"), "x64")).toThrow(/ENOENT/);
  });
});
