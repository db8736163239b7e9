import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { detectPreemption, type Preemption } from "./preemption.ts";

const directory = mkdtempSync(join(tmpdir(), "preemption-"));
afterAll(() => rmSync(directory, { recursive: true }));

const DYNAMIC = "#1 SMP PREEMPT_DYNAMIC Debian 6.12.90-1";

const cases: Record<string, { version: string; file?: string; mode?: number; want: Preemption }> = {
  "a kernel that is not built for it": { version: "#1 SMP Debian 5.10.262-1", want: "none" },
  "a kernel that does nothing else": { version: "#1 SMP PREEMPT Debian 6.1-1", want: "full" },
  "a real-time kernel": { version: "#1 SMP PREEMPT_RT Debian 6.1-1", want: "full" },
  "the file of debugfs": { version: DYNAMIC, file: "none (voluntary) full \n", mode: 2, want: "voluntary" },
  "the file of a kernel with two ways": { version: DYNAMIC, file: "full (lazy) \n", want: "lazy" },
  "the kernel's variable": { version: DYNAMIC, mode: 3, want: "lazy" },
  "a variable that has not been set": { version: DYNAMIC, mode: -1, want: "unknown" },
  "a kernel whose mode cannot be read": { version: DYNAMIC, want: "unknown" },
};

test.each(Object.entries(cases))("%s", (name, { version, file, mode, want }) => {
  const debugfs = join(directory, name);
  mkdirSync(join(debugfs, "sched"), { recursive: true });
  if (file !== undefined) writeFileSync(join(debugfs, "sched/preempt"), file);
  expect(detectPreemption({ version, debugfs, readMode: () => mode })).toBe(want);
});
