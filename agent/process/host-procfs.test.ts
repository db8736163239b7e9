import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { findHostProcfs } from "./host-procfs.ts";

const directory = mkdtempSync(join(tmpdir(), "host-procfs-"));
afterAll(() => rmSync(directory, { recursive: true }));

function makeProcfs(name: string, processTwo?: { comm: string; flags: number }): string {
  const procfs = join(directory, name);
  mkdirSync(join(procfs, "2"), { recursive: true });
  if (processTwo) {
    const zeros = "0 ".repeat(13).trim();
    const line = `2 (${processTwo.comm}) S 0 0 0 0 -1 ${processTwo.flags} ${zeros} 5 0 0\n`;
    writeFileSync(join(procfs, "2/stat"), line);
  }
  return procfs;
}

const machine = makeProcfs("machine", { comm: "kthreadd", flags: 0x20_8040 });
const container = makeProcfs("container", { comm: "kthreadd", flags: 0x40_0000 });
const empty = makeProcfs("empty");

test("the first candidate that has kernel threads is the machine's", () => {
  expect(findHostProcfs(undefined, [machine, container])).toEqual({ path: machine });
  expect(findHostProcfs(undefined, [container, machine])).toEqual({ path: machine });
  expect(findHostProcfs(undefined, [empty, machine])).toEqual({ path: machine });
});

test("a process that only has the name of a kernel thread does not count", () => {
  expect(findHostProcfs(undefined, [container, empty]).problem).toMatch(
    /container is not the machine's procfs, and neither is \S+empty: .* mount the machine's \/proc .*--procfs/,
  );
});

test("the directory that the user names is the only candidate", () => {
  expect(findHostProcfs(machine, [container])).toEqual({ path: machine });
  expect(findHostProcfs(container, [machine]).problem).toMatch(/^\S+container is not the machine's procfs: /);
});
