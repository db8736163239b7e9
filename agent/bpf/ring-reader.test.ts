import { setTimeout as sleep } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { until } from "../../lib/testing/waiting.ts";
import type { RingReader } from "./binding.ts";
import {
  block,
  bpf,
  Collector,
  describeBpf,
  GetuidRecorder,
  letReaderRead,
  makeMap,
  readerSwitches,
  thrownBy,
} from "./testing/programs.ts";

/** The numbers that arrive of `count` recorded ones; the program discards every fifth record. */
function kept(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i).filter((number) => number % 5 !== 4);
}

describeBpf("a ring reader", () => {
  test("delivers records that asked for no wake-up, in order and without the discarded ones", async () => {
    const recorder = new GetuidRecorder();
    const collector = new Collector();
    const reader = collector.read(recorder.events, { pollMs: 5 });
    recorder.record(10);
    await until(() => expect(collector.numbers.length).toBeGreaterThanOrEqual(8));
    expect(collector.numbers).toEqual(kept(0, 10));
    reader.close();
    recorder.close();
  });

  test("sleeps without a timer while nothing comes, and the first record after silence wakes it", async () => {
    const recorder = new GetuidRecorder();
    const collector = new Collector();
    const reader = collector.read(recorder.events, { pollMs: 1, sleepFlag: recorder.readerSleeps });
    for (let round = 1; round <= 20; round++) {
      await until(() => expect(recorder.isReaderAsleep()).toBe(true));
      const before = readerSwitches();
      await sleep(50);
      expect(readerSwitches() - before).toBeLessThanOrEqual(1); // it may have been about to fall asleep
      recorder.record(5);
      await until(() => expect(collector.numbers).toEqual(kept(0, round * 5)));
    }
    reader.close();
    expect(recorder.isReaderAsleep()).toBe(false);
    recorder.close();
  });

  // The reader waits some milliseconds for them, which a busy machine can miss.
  test("delivers the first record after silence with those that follow it", { retry: 10 }, async () => {
    const recorder = new GetuidRecorder();
    const collector = new Collector();
    const reader = collector.read(recorder.events, { pollMs: 1000, sleepFlag: recorder.readerSleeps });
    await until(() => expect(recorder.isReaderAsleep()).toBe(true));
    letReaderRead(); // it was about to fall asleep
    recorder.record(5);
    await until(() => expect(recorder.isReaderAsleep()).toBe(false));
    recorder.record(5);
    await until(() => expect(collector.numbers).toEqual(kept(0, 10)));
    expect(collector.batchSizes).toHaveLength(1);
    reader.close();
    recorder.close();
  });

  test("loses no record that comes while it falls asleep", async () => {
    const recorder = new GetuidRecorder();
    const collector = new Collector();
    const reader = collector.read(recorder.events, { pollMs: 1, sleepFlag: recorder.readerSleeps });
    for (let round = 1; round <= 200; round++) {
      recorder.record(5);
      block(round % 40); // the transition takes some 10 to 30 ms: records meet all of it
      if (round % 10 === 0) await until(() => expect(collector.numbers).toHaveLength(round * 4));
    }
    expect(collector.numbers).toEqual(kept(0, 1000));
    reader.close();
    recorder.close();
  });

  test("needs a flag that can be mapped", () => {
    const recorder = new GetuidRecorder();
    const flag = makeMap();
    const error = thrownBy(() => new Collector().read(recorder.events, { sleepFlag: flag }));
    expect(error.message).toMatch(/^read ring events: /);
    flag.close();
    recorder.close();
  });

  test("delivers all that is in the ring before flush() returns", () => {
    const recorder = new GetuidRecorder();
    const collector = new Collector();
    const reader = collector.read(recorder.events, { pollMs: 60_000 });
    recorder.record(20);
    reader.flush();
    expect(collector.numbers).toEqual(kept(0, 20));
    reader.flush();
    expect(collector.batchSizes).toHaveLength(1);
    reader.close();
    recorder.close();
  });

  test("delivers what waits for the main thread once, and before what came later", async () => {
    const recorder = new GetuidRecorder();
    const collector = new Collector();
    const reader = collector.read(recorder.events, { pollMs: 1 });
    recorder.record(10);
    block(50); // the reader's thread has them by now
    recorder.record(10);
    reader.flush();
    expect(collector.numbers).toEqual(kept(0, 20));
    await sleep(30);
    expect(collector.numbers).toEqual(kept(0, 20));
    reader.close();
    recorder.close();
  });

  test("lets timers and input take their turn between two batches", async () => {
    const recorder = new GetuidRecorder();
    let batches = 0;
    let batchesAtTimer = 0;
    const onBatch = () => {
      if (batches++ === 0) setTimeout(() => (batchesAtTimer = batches), 1);
      block(5); // the next batch is ready when this one is done
    };
    recorder.record(50);
    const reader = bpf.readRing(recorder.events, { onBatch, pollMs: 1, batchBytes: 40 });
    await until(() => expect(batches).toBe(20));
    await sleep(5);
    expect(batchesAtTimer).toBeGreaterThan(0);
    expect(batchesAtTimer).toBeLessThan(20);
    reader.close();
    recorder.close();
  });

  test("never splits a record and never exceeds the size of a batch", () => {
    const recorder = new GetuidRecorder();
    const collector = new Collector();
    const reader = collector.read(recorder.events, { pollMs: 60_000, batchBytes: 40 });
    recorder.record(10);
    reader.flush();
    expect(collector.batchSizes).toEqual([32, 32, 32, 32]);
    expect(collector.numbers).toEqual(kept(0, 10));
    reader.close();
    recorder.close();
  });

  test("pads records to 8 and gives one that is larger than a batch a batch of its own", () => {
    const recorder = new GetuidRecorder({ bigRecordBytes: 101 });
    const collector = new Collector();
    const reader = collector.read(recorder.events, { pollMs: 60_000, batchBytes: 40 });
    recorder.record(3);
    reader.flush();
    expect(collector.batchSizes).toEqual([104, 104, 104]);
    expect(collector.numbers).toEqual([0, 1, 2]);
    reader.close();
    recorder.close();
  });

  /** The records that remain of 400 while this thread is busy; the ring has room for 64 KiB of them. */
  function readWhileBusy(recorder: GetuidRecorder, collector: Collector, backlogBytes: number): RingReader {
    const reader = collector.read(recorder.events, { pollMs: 1, batchBytes: 16_384, backlogBytes });
    for (let i = 0; i < 20; i++) {
      recorder.record(20);
      letReaderRead();
    }
    reader.flush();
    return reader;
  }

  test.each([
    ["the backlog", 64 << 10],
    ["one batch", 0],
  ])("while the main thread is busy, %s and the ring bound what waits", async (_name, backlogBytes) => {
    const recorder = new GetuidRecorder({ bigRecordBytes: 1000 });
    const collector = new Collector();
    const reader = readWhileBusy(recorder, collector, backlogBytes);
    // Records have a header of 8 bytes each in the ring; the last batch of the backlog may exceed it, and the record
    // that did not fit into it has left the ring.
    const inRing = Math.floor(65_536 / 1008);
    const inBatch = Math.floor(16_384 / 1000);
    expect(collector.numbers.length).toBeGreaterThan(60 + backlogBytes / 1000);
    expect(collector.numbers.length).toBeLessThanOrEqual(inRing + backlogBytes / 1000 + inBatch + 1);
    expect(Math.max(...collector.batchSizes)).toBeLessThanOrEqual(16_384);
    recorder.record(5);
    await until(() => expect(collector.numbers.at(-1)).toBeGreaterThan(200));
    reader.close();
    recorder.close();
  });

  test("while the main thread is busy, nothing is lost that the backlog takes, and the order stays", () => {
    const recorder = new GetuidRecorder({ bigRecordBytes: 1000 });
    const collector = new Collector();
    const reader = readWhileBusy(recorder, collector, 1 << 20);
    expect(collector.numbers).toEqual(Array.from({ length: 400 }, (_, number) => number));
    reader.close();
    recorder.close();
  });

  test("hands over what waited without being asked, batch by batch", async () => {
    const recorder = new GetuidRecorder({ bigRecordBytes: 1000 });
    const collector = new Collector();
    const reader = collector.read(recorder.events, { pollMs: 1, batchBytes: 16_384, backlogBytes: 1 << 20 });
    for (let i = 0; i < 10; i++) {
      recorder.record(20);
      letReaderRead();
    }
    await until(() => expect(collector.numbers.length).toBe(200));
    expect(collector.numbers).toEqual(collector.numbers.toSorted((a, b) => a - b));
    reader.close();
    recorder.close();
  });

  test("delivers the oldest batches if flush() has a bound, and returns whether there may be more", () => {
    const recorder = new GetuidRecorder();
    const collector = new Collector();
    const reader = collector.read(recorder.events, { pollMs: 60_000, batchBytes: 32 });
    recorder.record(10);
    expect(reader.flush(32)).toBe(true);
    expect(collector.batchSizes).toEqual([32]);
    expect(reader.flush()).toBe(false);
    expect(reader.flush(32)).toBe(false);
    expect(collector.numbers).toEqual(kept(0, 10));
    reader.close();
    recorder.close();
  });

  test("leaves records alone while a promise of onBatch is pending, and flush() does not", async () => {
    const recorder = new GetuidRecorder();
    const pending: PromiseWithResolvers<void>[] = [];
    const collector = new Collector();
    const onBatch = (batch: ArrayBuffer) => {
      collector.onBatch(batch);
      pending.push(Promise.withResolvers());
      return pending.at(-1)?.promise;
    };
    const reader = bpf.readRing(recorder.events, { onBatch, pollMs: 1 });
    recorder.record(5);
    await until(() => expect(pending).toHaveLength(1));
    const first = collector.numbers.length;
    recorder.record(5);
    await sleep(50);
    expect(collector.numbers).toHaveLength(first);
    reader.flush();
    expect(collector.numbers).toEqual(kept(0, 10));
    recorder.record(5);
    await sleep(50);
    expect(collector.numbers).toEqual(kept(0, 10));
    pending[0]?.resolve();
    await until(() => expect(collector.numbers).toEqual(kept(0, 15)));
    reader.close();
    recorder.close();
  });

  test("passes what onBatch throws on to the caller of flush(), and goes on", () => {
    const recorder = new GetuidRecorder();
    const failure = new Error("no room");
    const onBatch = vi.fn<(batch: ArrayBuffer) => void>().mockImplementationOnce(() => {
      throw failure;
    });
    const reader = bpf.readRing(recorder.events, { onBatch, pollMs: 60_000 });
    recorder.record(1);
    expect(thrownBy(() => reader.flush())).toBe(failure);
    recorder.record(1);
    reader.flush();
    expect(onBatch).toHaveBeenCalledTimes(2);
    reader.close();
    recorder.close();
  });

  test("uses one buffer again and again where it is allowed to, but not one that is in use", () => {
    const recorder = new GetuidRecorder();
    const collector = new Collector();
    const buffers: ArrayBuffer[] = [];
    const onBatch = (batch: ArrayBuffer, bytes: number) => {
      buffers.push(batch);
      if (buffers.length === 2) reader.flush();
      collector.onBatch(batch.slice(0, bytes));
    };
    const options = { onBatch, pollMs: 60_000, batchBytes: 16, reuseBuffer: true };
    const reader: RingReader = bpf.readRing(recorder.events, options);
    recorder.record(5);
    reader.flush();
    expect([...collector.numbers].sort()).toEqual(kept(0, 5));
    expect(buffers.length).toBeGreaterThanOrEqual(3);
    expect(buffers[1]).toBe(buffers[0]);
    expect(buffers[2]).not.toBe(buffers[0]);
    recorder.record(1);
    reader.flush();
    expect(buffers.at(-1)).toBe(buffers[0]);
    reader.close();
    recorder.close();
  });

  test("may be closed and flushed from inside of onBatch", () => {
    const recorder = new GetuidRecorder();
    const sizes: number[] = [];
    const onBatch = (batch: ArrayBuffer) => {
      sizes.push(batch.byteLength);
      if (sizes.length === 1) reader.flush();
      else reader.close();
    };
    const reader: RingReader = bpf.readRing(recorder.events, { onBatch, pollMs: 60_000, batchBytes: 16 });
    recorder.record(4);
    reader.flush();
    expect(sizes).toEqual([16, 16]);
    expect(thrownBy(() => reader.flush())).toMatchObject({ code: "EBADF" });
    recorder.close();
  });

  test("delivers nothing after close(), not even what waited", async () => {
    const recorder = new GetuidRecorder();
    const collector = new Collector();
    const reader = collector.read(recorder.events, { pollMs: 1 });
    recorder.record(5);
    block(30);
    reader.close();
    reader.close();
    await sleep(30);
    expect(collector.numbers).toEqual([]);
    recorder.close();
  });

  test("outlives the map's handle", () => {
    const recorder = new GetuidRecorder();
    const collector = new Collector();
    const reader = collector.read(recorder.events);
    recorder.record(1);
    recorder.close();
    reader.flush();
    expect(collector.numbers).toEqual([0]);
    reader.close();
  });

  test("reads nothing but ring buffers", () => {
    const error = thrownBy(() => bpf.readRing(makeMap({ name: "no_ring" }), { onBatch: () => {} }));
    expect(error).toMatchObject({ name: "BpfError", code: "EINVAL", step: "read ring", subject: "no_ring" });
    expect(error.libbpfLog).toMatch(/not BPF_MAP_TYPE_RINGBUF/);
  });
});
