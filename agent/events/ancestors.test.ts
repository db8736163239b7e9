import { expect, test } from "vitest";
import type { EventType } from "../metrics/event-metrics.ts";
import { credSlot, makeBatch, makeExec, makeExit } from "../records/testing/records.ts";
import {
  makeHit,
  makeHookDef,
  makePipeline,
  parseLines,
  SHELL_EXEC,
  TEST_POLICY,
} from "./testing/pipeline.ts";

const MS = 1_000_000n;

/** The shell of the rig with three generations below it; both encodings are compared. */
function makeFamily(ancestors: EventType[], userName?: () => string) {
  const parts = makePipeline({
    processFields: { ancestors: new Set(ancestors), ...(userName && { userName }) },
  });
  parts.pipeline.registerHook(7, {
    policy: TEST_POLICY,
    def: makeHookDef(),
    functionName: "commit_creds",
  });
  parts.pipeline.handleBatch(makeBatch(makeExec(SHELL_EXEC)));
  for (const pid of [11, 12, 13]) {
    const exec = makeExec({
      pid,
      seq: 1,
      ktimeNs: BigInt(pid) * 10n * MS,
      filename: `/bin/${pid}`,
      parentPid: pid - 1,
    });
    parts.pipeline.handleBatch(makeBatch(exec));
  }
  return parts;
}

const pids = (ancestors: { pid: number }[] | undefined) => ancestors?.map(({ pid }) => pid);

test("ancestors are listed from beyond the parent on, nearest first, without the kernel", () => {
  const { sink } = makeFamily(["PROCESS_EXEC"]);
  const execs = parseLines(sink.takeLines()).map(({ process_exec: event }) => event);
  expect(execs.map(({ ancestors }) => pids(ancestors))).toEqual([undefined, undefined, [10], [11, 10]]);
  expect(execs.at(-1).ancestors[1].binary).toBe("/bin/sh");
});

test("only the types that were asked for have them", () => {
  const { pipeline, sink } = makeFamily(["PROCESS_KPROBE"]);
  sink.takeLines();
  const exit = makeExit({ pid: 13, ktimeNs: 200n * MS, seq: 1, code: 0 });
  const hit = makeHit([credSlot({})], { pid: 13 });
  const thread = makeHit([credSlot({})], { pid: 13, tid: 99 });
  pipeline.handleBatch(makeBatch(hit, thread, exit));
  const [first, second, last] = parseLines(sink.takeLines());
  expect(pids(first.process_kprobe.ancestors)).toEqual([11, 10]);
  expect(pids(second.process_kprobe.ancestors)).toEqual([11, 10]);
  expect(last.process_exit.ancestors).toBeUndefined();
});

test("names of users stand in processes and their parents", () => {
  const { sink } = makeFamily([], () => "web");
  const last = parseLines(sink.takeLines()).at(-1).process_exec;
  expect(last.process.user).toEqual({ name: "web" });
  expect(last.parent.user).toEqual({ name: "web" });
});
