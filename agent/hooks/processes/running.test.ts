import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { FollowedList } from "../config/filters.ts";
import { followedAmong, readRunning } from "./running.ts";

describe("who is followed among", () => {
  // pid 1 is init, 2 the parent of kernel threads
  const tree = { 0: 0, 1: 0, 2: 0, 20: 2, 5: 1, 6: 5, 7: 6, 8: 5, 9: 1 };
  const cases: Record<string, { listed: number[]; carriers?: number[]; want: number[] }> = {
    "no process if none is listed": { listed: [], want: [] },
    "the listed and all below, parents first": { listed: [5], want: [5, 6, 8, 7] },
    "no parents and no siblings": { listed: [6], want: [6, 7] },
    "each once, also of two listed ones": { listed: [6, 5], want: [5, 6, 8, 7] },
    "what descends from who was followed before": { listed: [], carriers: [6], want: [6, 7] },
    "the adopted, as those that were started": { listed: [9, 1], want: [1, 9, 5, 6, 8, 7] },
    "kernel threads, but not init, for the kernel": { listed: [0], want: [0, 2, 20] },
    "no process for a carrier that has ended": { listed: [], carriers: [77], want: [] },
  };
  test.each(Object.entries(cases))("%s", (_name, { listed, carriers = [], want }) => {
    const processes = Object.entries(tree).map(([pid, parentPid]) => ({
      pid: Number(pid),
      parentPid,
      startNs: 0n,
      listed: listed.includes(Number(pid)),
    }));
    const found = followedAmong(processes, new Set(carriers)).map(({ pid }) => pid);
    expect(found.toSorted()).toEqual(want.toSorted());
    for (const [place, pid] of found.entries()) {
      const parent = tree[pid as keyof typeof tree];
      if (want.includes(parent) && !listed.includes(pid)) expect(found.indexOf(parent)).toBeLessThan(place);
    }
  });

  test("a pid that was used again while /proc was read makes no endless loop", () => {
    const process = { startNs: 0n, listed: true };
    const loop = [
      { ...process, pid: 5, parentPid: 6 },
      { ...process, pid: 6, parentPid: 5 },
    ];
    expect(followedAmong(loop, new Set())).toEqual(loop);
  });
});

describe("what runs", () => {
  const procfs = mkdtempSync(join(tmpdir(), "procfs-"));
  afterAll(() => rmSync(procfs, { recursive: true }));

  function add(pid: number, parts: { parent: number; exe?: string; state?: string; nspids?: string }): void {
    const { parent, exe, state = "S", nspids = `${pid}` } = parts;
    const directory = join(procfs, `${pid}`);
    mkdirSync(directory);
    const zeros = (count: number) => Array(count).fill(0).join(" ");
    writeFileSync(join(directory, "stat"), `${pid} (a (b) ${state} ${parent} ${zeros(15)} 1 0 ${pid}00 0\n`);
    writeFileSync(join(directory, "status"), `Name:\ta (b\nNSpid:\t${nspids}\n`);
    if (exe !== undefined) symlinkSync(exe, join(directory, "exe"));
  }
  add(1, { parent: 0, exe: "/sbin/init" });
  add(2, { parent: 0 });
  add(30, { parent: 1, exe: "/bin/listed", nspids: "30\t7\t1" });
  add(31, { parent: 30, exe: "/bin/other", nspids: "31\t8\t2" });
  add(32, { parent: 31, exe: "/bin/listed (deleted)" });
  add(33, { parent: 1, exe: "/bin/listed", state: "Z" });
  mkdirSync(join(procfs, "34")); // ended after its directory was found
  mkdirSync(join(procfs, "sys"));

  const cases: Record<string, { list: FollowedList; want: number[] }> = {
    "with a file, also a deleted one": {
      list: { by: "path", values: ["/bin/listed", "/x"] },
      want: [30, 32],
    },
    "without a file": { list: { by: "path", values: [""] }, want: [2] },
    "with a pid": { list: { by: "pid", values: [2, 31, 77] }, want: [2, 31] },
    "with a pid in the innermost namespace": {
      list: { by: "namespacePid", values: [1, 7, 32] },
      want: [1, 30, 32],
    },
    "the kernel, which /proc does not show": { list: { by: "pid", values: [0] }, want: [0] },
  };
  test.each(Object.entries(cases))("%s, is listed", (_name, { list, want }) => {
    const listed = readRunning(procfs, list).filter((process) => process.listed);
    expect(listed.map(({ pid }) => pid)).toEqual(want);
  });

  test("the dead and the vanished are left out", () => {
    const processes = readRunning(procfs, { by: "pid", values: [31] });
    expect(processes).toContainEqual({ pid: 31, parentPid: 30, startNs: 31_000_000_000n, listed: true });
    expect(processes.map(({ pid }) => pid).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 30, 31, 32]);
  });

  test("of this machine, this process and its parent", () => {
    const found = readRunning("/proc", { by: "path", values: [process.execPath] });
    expect(found).toContainEqual(
      expect.objectContaining({ pid: process.pid, parentPid: process.ppid, listed: true }),
    );
  });
});
