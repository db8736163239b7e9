import { expect, test } from "vitest";
import type { AttachKind } from "../../../crds/conditions.ts";
import { newRunsFirst, type OrderedHook, postsFirst } from "./order.ts";

const atEntry = (attach: AttachKind): OrderedHook => ({ def: {}, status: { attach } });
const atReturn = (attach: AttachKind): OrderedHook => ({
  def: { returnArg: { type: "int" } },
  status: { attach },
});

const runs: Record<string, { older: OrderedHook; newer: OrderedHook; isNewFirst: boolean }> = {
  "two fentry programs: the newest first": {
    older: atEntry("fentry"),
    newer: atEntry("fentry"),
    isNewFirst: true,
  },
  "two kprobes: the newest first": { older: atEntry("kprobe"), newer: atEntry("kprobe"), isNewFirst: true },
  "a kprobe runs before the trampoline": {
    older: atEntry("fentry"),
    newer: atEntry("kprobe"),
    isNewFirst: true,
  },
  "a new trampoline runs behind an old kprobe": {
    older: atEntry("kprobe"),
    newer: atEntry("fentry"),
    isNewFirst: false,
  },
  "fentry runs before fmod_ret": { older: atEntry("fmod_ret"), newer: atEntry("fentry"), isNewFirst: true },
  "a new LSM program runs behind an old fentry program": {
    older: atEntry("fentry"),
    newer: atEntry("lsm"),
    isNewFirst: false,
  },
  "a tracepoint runs the oldest first": {
    older: atEntry("tracepoint"),
    newer: atEntry("tracepoint"),
    isNewFirst: false,
  },
  "a tracepoint and a function are in no order": {
    older: atEntry("tracepoint"),
    newer: atEntry("fentry"),
    isNewFirst: false,
  },
  "a hook that is not attached runs nowhere": {
    older: { def: {}, status: {} },
    newer: atEntry("fentry"),
    isNewFirst: false,
  },
};

test.each(Object.entries(runs))("%s", (_name, { older, newer, isNewFirst }) => {
  expect(newRunsFirst(newer, older)).toBe(isNewFirst);
});

const posts: Record<string, { older: OrderedHook; newer: OrderedHook; first: "new" | "old" }> = {
  "both at entry": { older: atEntry("fentry"), newer: atEntry("fentry"), first: "new" },
  "both at return, by fexit": { older: atReturn("fexit"), newer: atReturn("fexit"), first: "new" },
  "both at return, by kretprobe": {
    older: atReturn("kretprobe"),
    newer: atReturn("kretprobe"),
    first: "old",
  },
  "the new one at return by fexit": { older: atEntry("fentry"), newer: atReturn("fexit"), first: "old" },
  "the new one at return by kretprobe": {
    older: atEntry("kprobe"),
    newer: atReturn("kretprobe"),
    first: "old",
  },
  "the new one at return by fmod_ret": {
    older: atEntry("fmod_ret"),
    newer: atReturn("fmod_ret"),
    first: "old",
  },
  "the old one at return": { older: atReturn("fexit"), newer: atEntry("fentry"), first: "new" },
};

test.each(Object.entries(posts))("%s: who posts first", (_name, { older, newer, first }) => {
  expect(postsFirst(newer, older)).toBe(first);
});
