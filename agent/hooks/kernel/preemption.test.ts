import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { detectPreemption, type Preemption } from "./preemption.ts";

const directory = mkdtempSync(join(tmpdir(), "preemption-"));
afterAll(() => rmSync(directory, { recursive: true }));

const DYNAMIC = "#1 SMP PREEMPT_DYNAMIC Debian 6.12.90-1";
const SYMBOL = "ffffffff8000f000 t preempt_dynamic_modes\nffffffff82c55360 D preempt_dynamic_mode\n";
const ADDRESS = 0xffffffff82c55360n;

const cases: Record<
  string,
  { version: string; file?: string; symbols?: string; mode?: number; want: Preemption }
> = {
  "a kernel that is not built for it": { version: "#1 SMP Debian 5.10.262-1", want: "none" },
  "a kernel that does nothing else": { version: "#1 SMP PREEMPT Debian 6.1-1", want: "full" },
  "a real-time kernel": { version: "#1 SMP PREEMPT_RT Debian 6.1-1", want: "full" },
  "the file of debugfs": { version: DYNAMIC, file: "none (voluntary) full \n", mode: 2, want: "voluntary" },
  "the file of a kernel with two ways": { version: DYNAMIC, file: "full (lazy) \n", want: "lazy" },
  "the kernel's variable": { version: DYNAMIC, symbols: SYMBOL, mode: 3, want: "lazy" },
  "a variable that has not been set": { version: DYNAMIC, symbols: SYMBOL, mode: -1, want: "unknown" },
  "addresses that are hidden": {
    version: DYNAMIC,
    symbols: "0000000000000000 D preempt_dynamic_mode\n",
    mode: 0,
    want: "unknown",
  },
  "a kernel whose mode cannot be read": { version: DYNAMIC, want: "unknown" },
};

test.each(Object.entries(cases))("%s", (name, { version, file, symbols, mode = -1, want }) => {
  const debugfs = join(directory, name);
  mkdirSync(join(debugfs, "sched"), { recursive: true });
  if (file !== undefined) writeFileSync(join(debugfs, "sched/preempt"), file);
  const kallsyms = join(debugfs, "kallsyms");
  if (symbols !== undefined) writeFileSync(kallsyms, symbols);
  const readInt = (address: bigint) => (address === ADDRESS ? mode : -1);
  expect(detectPreemption({ version, debugfs, kallsyms, readInt })).toBe(want);
});
