import { expect, test } from "vitest";
import { compareEvents } from "./compare.ts";

function kprobe(pid: number, execId: string, arg: number, changes: Record<string, unknown> = {}): string {
  const process = {
    exec_id: execId,
    pid,
    binary: "/bin/su",
    flags: "execve inInitTree",
    refcnt: 1,
    tid: pid,
    ...changes,
  };
  const parent = { exec_id: "parent", pid: 1, binary: "/bin/sh" };
  return JSON.stringify({
    process_kprobe: { process: { ...process, parent_exec_id: "parent" }, parent, args: [{ int_arg: arg }] },
    node_name: "a",
    time: String(Math.random()),
  });
}

const lines = (...texts: string[]) => texts.join("\n");

test("ids, times, reference counts and the order of processes do not count", () => {
  const want = lines(kprobe(5, "x", 0), kprobe(6, "y", 1), kprobe(5, "x", 2));
  const got = lines(kprobe(70, "p", 0, { refcnt: 3 }), kprobe(70, "p", 2), kprobe(71, "q", 1));
  expect(compareEvents(want, got)).toMatchObject({ equal: 3, differences: [] });
});

test("fields that Tetragon does not have do not count", () => {
  const got = JSON.parse(kprobe(5, "x", 0, { security_label: "unconfined" }));
  got.process_kprobe.credential_change = { changed: ["uid"] };
  expect(compareEvents(kprobe(5, "x", 0), JSON.stringify(got))).toMatchObject({ equal: 1, differences: [] });
});

const cases: Record<string, [want: string, got: string, difference: string]> = {
  "another value": [
    kprobe(5, "x", 0),
    kprobe(5, "x", 1),
    'process_kprobe.args: [{"int_arg":1}] instead of [{"int_arg":0}]',
  ],
  "a missing event": [lines(kprobe(5, "x", 0), kprobe(5, "x", 1)), kprobe(5, "x", 0), "event 1: missing"],
  "an event too much": [kprobe(5, "x", 0), lines(kprobe(5, "x", 0), kprobe(5, "x", 1)), "event 1: too much"],
  "another order within a process": [
    lines(kprobe(5, "x", 0), kprobe(5, "x", 1)),
    lines(kprobe(5, "x", 1), kprobe(5, "x", 0)),
    "event 0: process_kprobe.args",
  ],
  "another image of the same process": [
    lines(kprobe(5, "x", 0), kprobe(5, "x", 1)),
    lines(kprobe(5, "x", 0), kprobe(5, "y", 1)),
    'exec_id: "IMAGE 1" instead of "IMAGE 0"',
  ],
  "another order of keys": [
    kprobe(5, "x", 0),
    kprobe(5, "x", 0).replace('"pid":5,"binary":"/bin/su"', '"binary":"/bin/su","pid":5'),
    "process_kprobe.process: keys exec_id,binary,pid",
  ],
};

test.each(Object.entries(cases))("%s is a difference", (_name, [want, got, difference]) => {
  expect(compareEvents(want, got).differences.join("\n")).toContain(difference);
});

test("types and a process flag select the events to compare", () => {
  const host = kprobe(5, "x", 0, { flags: "execve" });
  const exit = JSON.stringify({ process_exit: { process: { pid: 5, flags: "execve inInitTree" } } });
  const result = compareEvents(lines(host, exit, kprobe(6, "y", 1)), kprobe(6, "y", 1), {
    types: ["process_kprobe"],
    flag: "inInitTree",
  });
  expect(result).toEqual({ counts: { process_kprobe: { want: 1, got: 1 } }, equal: 1, differences: [] });
});
