import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { KernelSymbolTable } from "./kernel-code.ts";

const procfs = mkdtempSync(join(tmpdir(), "kallsyms-"));
afterAll(() => rmSync(procfs, { recursive: true }));

/** As the kernel writes it: its own symbols by address, then those of modules. */
const KALLSYMS = `0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000100 T commit_creds
ffffffff81000100 t commit_creds_alias
ffffffff81000180 d not_code
ffffffff81000200 W override_creds
ffffffff82000000 D init_cred
ffffffffc0000000 t nft_init\t[nf_tables]
ffff800010000000 t of_another_architecture
`;

function makeTable(text: string) {
  writeFileSync(join(procfs, "kallsyms"), text);
  const clock = { nowMs: 0 };
  const table = new KernelSymbolTable(procfs, () => clock.nowMs);
  const find = (address: bigint) => table.find(Number(address & 0xffffffffn), Number(address >> 32n));
  return { find, clock };
}

const cases: Record<string, { address: bigint; want: unknown }> = {
  "the beginning of a function": {
    address: 0xffff_ffff_8100_0200n,
    want: { offset: 0, symbol: "override_creds" },
  },
  "of two names of an address the first is shown": {
    address: 0xffff_ffff_8100_0110n,
    want: { offset: 16, symbol: "commit_creds" },
  },
  "data is no code": {
    address: 0xffff_ffff_8100_0190n,
    want: { offset: 144, symbol: "commit_creds" },
  },
  "a module is named": {
    address: 0xffff_ffff_c000_0004n,
    want: { offset: 4, symbol: "nft_init", module: "nf_tables" },
  },
  "addresses of modules below the kernel": {
    address: 0xffff_8000_1000_0001n,
    want: { offset: 1, symbol: "of_another_architecture" },
  },
  "far behind every symbol": { address: 0xffff_ffff_9000_0000n, want: undefined },
  "before the first symbol": { address: 0xffff_0000_0000_0000n, want: undefined },
  "no kernel address": { address: 0x7fff_0000_1000n, want: undefined },
};

test.each(Object.entries(cases))("%s", (_name, { address, want }) => {
  expect(makeTable(KALLSYMS).find(address)).toEqual(want);
});

test("a kernel that hides addresses names nothing", () => {
  expect(makeTable("0000000000000000 T commit_creds\n").find(0xffff_ffff_8100_0100n)).toBeUndefined();
});

test("a list that cannot be read names nothing", () => {
  const table = new KernelSymbolTable(join(procfs, "absent"), () => 0);
  expect(table.find(0x8100_0100, 0xffff_ffff)).toBeUndefined();
});

test("is read once, and again a minute later for an address that it does not explain", () => {
  const { find, clock } = makeTable(KALLSYMS);
  const inNewModule = 0xffff_ffff_c100_0000n;
  expect(find(inNewModule)).toBeUndefined();
  writeFileSync(join(procfs, "kallsyms"), `${KALLSYMS}ffffffffc1000000 t new_init\t[new]\n`);
  clock.nowMs = 59_000;
  expect(find(inNewModule)).toBeUndefined();
  clock.nowMs = 60_000;
  expect(find(inNewModule)).toEqual({ offset: 0, symbol: "new_init", module: "new" });
});
