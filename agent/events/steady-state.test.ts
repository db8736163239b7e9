/** What an event leaves for the garbage collector, in the steady state. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getHeapStatistics } from "node:v8";
import { Registry } from "prom-client";
import { afterAll, expect, test } from "vitest";
import { EventMetrics } from "../metrics/event-metrics.ts";
import { PodResolver } from "../pods/resolver.ts";
import { ProcessCache } from "../process/cache.ts";
import { makeWallClock, TestClock } from "../records/testing/clock.ts";
import { credSlot, integerSlot, makeBatch, makeExec, makeHook } from "../records/testing/records.ts";
import { FileSink } from "./export/file.ts";
import { JsonEncoder } from "./json/encoder.ts";
import { EventPipeline } from "./pipeline.ts";
import { makeHookDef, SHELL_EXEC, TEST_POLICY } from "./testing/pipeline.ts";

const BATCHES = 10;
/** Events of a batch; the difference is what events cost beside their batch. */
const FEW = 20;
const MANY = 220;
/** The compiler that leaves the fewest objects begins when functions have run often. */
const WARM_UP_ROUNDS = 80;
const ROUNDS = WARM_UP_ROUNDS + 40;
const BYTES_PER_BATCH = 24 << 10;
/** Some numbers that do not fit into 31 bits. */
const BYTES_PER_1000_EVENTS = 64 << 10;
/** What the reader of the ring hands over at most. */
const RING_BATCH_BYTES = 256 << 10;
/** The runtime itself takes and frees some tens of bytes meanwhile. */
const SMALLEST_BUFFER = 4 << 10;
const directory = mkdtempSync(join(tmpdir(), "steady-"));
afterAll(() => rmSync(directory, { recursive: true }));

const capabilities = { cap_permitted: 0x1ff_ffff_ffffn, cap_effective: 0x1ff_ffff_ffffn };

/** Each exports what a hook posts into a file, and is handed batches in a buffer that is used again. */
const loads: Record<string, () => Uint8Array> = {
  "setuid with its argument": () => makeHook({ ...HIT, hookId: 2, slots: [integerSlot(0)] }),
  "commit_creds with its credentials": () => makeHook({ ...HIT, hookId: 1, slots: [credSlot(capabilities)] }),
};
const HIT = { pid: SHELL_EXEC.pid, seq: SHELL_EXEC.seq, ktimeNs: 30_000_000n };

test.each(Object.entries(loads))(
  "%s: next to nothing is allocated per event, and no buffer",
  async (name, makeRecord) => {
    const { pipeline, sink } = exportTo(join(directory, name));
    const round = async (events: number) => {
      const batch = makeBatch(...Array.from({ length: events }, makeRecord));
      const before = memory();
      for (let i = 0; i < BATCHES; i++) {
        pipeline.handleBatch(batch);
        await sink.flush();
      }
      const after = memory();
      return { heap: after.heap - before.heap, buffers: after.buffers - before.buffers };
    };
    const [few, many] = [await settled(() => round(FEW)), await settled(() => round(MANY))];
    const perThousand = ((many.heap - few.heap) / (BATCHES * (MANY - FEW))) * 1000;
    expect(few.heap / BATCHES).toBeLessThan(BYTES_PER_BATCH);
    expect(perThousand).toBeLessThan(BYTES_PER_1000_EVENTS);
    expect([few.buffers, many.buffers]).toEqual([0, 0]);
    await sink.close();
  },
);

test("a full batch of the ring needs no buffer that the batch before did not have", async () => {
  const { pipeline, sink } = exportTo(join(directory, "full"));
  const record = () => makeHook({ ...HIT, hookId: 1, slots: [credSlot(capabilities)] });
  const one = makeBatch(record()).byteLength;
  const full = makeBatch(...Array.from({ length: Math.floor(RING_BATCH_BYTES / one) }, record));
  const pass = async () => {
    pipeline.handleBatch(full);
    await sink.flush();
  };
  for (let i = 0; i < 2; i++) await pass();
  const before = memory().buffers;
  for (let i = 0; i < 5; i++) await pass();
  expect(memory().buffers - before).toBeLessThan(SMALLEST_BUFFER);
  await sink.close();
});

/** Medians of what rounds have left, without those in which garbage was collected. */
async function settled(round: () => Promise<ReturnType<typeof memory>>): Promise<ReturnType<typeof memory>> {
  const left: ReturnType<typeof memory>[] = [];
  for (let i = 0; i < ROUNDS; i++) left.push(await round());
  const whole = left.slice(WARM_UP_ROUNDS).filter(({ heap }) => heap > 0);
  return {
    heap: median(whole.map(({ heap }) => heap)),
    buffers: median(whole.map(({ buffers }) => buffers)),
  };
}

function exportTo(path: string) {
  const sink = new FileSink(path, { now: Date.now });
  const clock = makeWallClock(new TestClock());
  const processes = new ProcessCache({
    nodeName: "node-1",
    clock,
    proc: { read: () => undefined, isAlive: () => true },
  });
  const pipeline = new EventPipeline({
    processes,
    pods: new PodResolver(undefined),
    outputs: [{ encoder: new JsonEncoder({ nodeName: "node-1", clock }), sink }],
    metrics: new EventMetrics(new Registry(), "node-1"),
    clock,
  });
  pipeline.registerHook(1, { policy: TEST_POLICY, def: makeHookDef(), functionName: "commit_creds" });
  const def = makeHookDef({ args: [{ index: 0, type: "int" }] });
  pipeline.registerHook(2, { policy: TEST_POLICY, def, functionName: "__x64_sys_setuid" });
  pipeline.handleBatch(makeBatch(makeExec(SHELL_EXEC)));
  return { pipeline, sink };
}

function memory(): { heap: number; buffers: number } {
  return { heap: getHeapStatistics().used_heap_size, buffers: process.memoryUsage().arrayBuffers };
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
