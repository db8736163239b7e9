import { describe, expect, test } from "vitest";
import { credSlot, makeBatch, makeExec, makeExit } from "../records/testing/records.ts";
import { utf8 } from "./byte-writer.ts";
import type { EventEncoder } from "./encoder.ts";
import type { OutputEvent } from "./event.ts";
import type { Output, OutputSink } from "./outputs.ts";
import { makeHit, parseLines, setupShell } from "./testing/pipeline.ts";

/** Writes the kind of each event, and counts how often it was asked to. */
function makeEncoder() {
  const counts = { encoded: 0 };
  const encoder: EventEncoder = {
    hook: (out, { kind }) => write(out, kind),
    exec: (out, { kind }) => write(out, kind),
    exit: (out, { kind }) => write(out, kind),
  };
  const write: (out: Parameters<EventEncoder["hook"]>[0], kind: string) => void = (out, kind) => {
    counts.encoded++;
    out.bytes(utf8(`${kind} `));
  };
  return { encoder, counts };
}

/** Keeps what it gets, and calls back after each write. */
function makeSink(then: () => void = () => {}) {
  const writes: { text: string; events: number; bytes: Uint8Array }[] = [];
  const sink: OutputSink = {
    write(bytes, events) {
      writes.push({ text: Buffer.from(bytes).toString(), events, bytes });
      then();
    },
    async flush() {},
  };
  return { sink, writes };
}

const hit = (ktimeNs = 30_000_000n) => makeHit([credSlot({})], { ktimeNs });
const exec = makeExec({ pid: 11, seq: 1, ktimeNs: 40_000_000n, filename: "/bin/id", parentPid: 10 });
const exit = makeExit({ pid: 11, seq: 1, ktimeNs: 50_000_000n });
const isHook = (event: OutputEvent) => event.kind === "hook";

describe("an output", () => {
  test("gets the events of a batch in one chunk, with their number", () => {
    const { pipeline } = setupShell();
    const { sink, writes } = makeSink();
    pipeline.addOutput({ encoder: makeEncoder().encoder, sink });
    pipeline.handleBatch(makeBatch(hit(), exec, exit));
    expect(writes).toMatchObject([{ text: "hook exec exit ", events: 3 }]);
  });

  test("gets each event by itself where it asks for that", () => {
    const { pipeline } = setupShell();
    const { sink, writes } = makeSink();
    pipeline.addOutput({ encoder: makeEncoder().encoder, sink, perEvent: true });
    pipeline.handleBatch(makeBatch(hit(), exec, exit));
    expect(writes.map(({ text, events }) => [text, events])).toEqual([
      ["hook ", 1],
      ["exec ", 1],
      ["exit ", 1],
    ]);
  });

  test("gets chunks of some 64 KiB when a batch makes more", () => {
    const { pipeline } = setupShell();
    const { sink, writes } = makeSink();
    const encoder: EventEncoder = {
      hook: (out) => out.bytes(new Uint8Array(40_000)),
      exec() {},
      exit() {},
    };
    pipeline.addOutput({ encoder, sink });
    pipeline.handleBatch(makeBatch(hit(), hit(), hit()));
    expect(writes.map(({ bytes, events }) => [bytes.length, events])).toEqual([
      [80_000, 2],
      [40_000, 1],
    ]);
  });

  test.each([false, true])("gets what its filter lets through (each event by itself: %s)", (perEvent) => {
    const { pipeline } = setupShell();
    const { sink, writes } = makeSink();
    const { encoder, counts } = makeEncoder();
    pipeline.addOutput({ filter: isHook, encoder, sink, perEvent });
    pipeline.handleBatch(makeBatch(exec, hit(), exit));
    expect(writes).toMatchObject([{ text: "hook ", events: 1 }]);
    expect(counts.encoded).toBe(1);
  });

  test("has a filter that sees process, parent and policy", () => {
    const { pipeline } = setupShell();
    const seen: unknown[] = [];
    const filter = (event: OutputEvent) => {
      const { facts, parent } = event.image;
      const of = event.kind === "hook" ? [event.hook.policy.name, event.hook.type] : [];
      seen.push([event.kind, facts.binary, parent?.facts.binary, ...of]);
      return false;
    };
    pipeline.addOutput({ filter, encoder: makeEncoder().encoder, sink: makeSink().sink });
    pipeline.handleBatch(makeBatch(hit(), exec));
    expect(seen).toEqual([
      ["hook", "/bin/sh", "<kernel>", "creds", "PROCESS_KPROBE"],
      ["exec", "/bin/id", "/bin/sh"],
    ]);
  });

  test("that is removed gets what was encoded for it, and nothing more; the others go on", () => {
    const { pipeline, sink: json } = setupShell();
    const { sink, writes } = makeSink();
    const output: Output = { encoder: makeEncoder().encoder, sink };
    const filter = (event: OutputEvent) => {
      if (event.kind === "exit") pipeline.removeOutput(output);
      return true;
    };
    pipeline.addOutput(output);
    pipeline.addOutput({ filter, encoder: makeEncoder().encoder, sink: makeSink().sink });
    pipeline.handleBatch(makeBatch(hit(), exec, exit));
    pipeline.handleBatch(makeBatch(hit()));
    expect(writes).toMatchObject([{ text: "hook exec exit ", events: 3 }]);
    expect(parseLines(json.takeLines())).toHaveLength(4);
  });

  test("that was never added may be removed", () => {
    const { pipeline, sink } = setupShell();
    pipeline.removeOutput({ encoder: makeEncoder().encoder, sink: makeSink().sink, perEvent: true });
    pipeline.handleBatch(makeBatch(hit()));
    expect(parseLines(sink.takeLines())).toHaveLength(1);
  });

  test("is waited for when the pipeline stops", async () => {
    const { pipeline } = setupShell();
    const flushed: string[] = [];
    const encoder = makeEncoder().encoder;
    const sinkOf = (name: string): OutputSink => ({
      write() {},
      async flush() {
        flushed.push(name);
      },
    });
    pipeline.addOutput({ encoder, sink: sinkOf("chunks") });
    pipeline.addOutput({ encoder, sink: sinkOf("events"), perEvent: true });
    await pipeline.stop();
    expect(flushed).toEqual(["chunks", "events"]);
  });
});

describe("outputs with one encoder that get each event by itself", () => {
  test("share the bytes of an event that is encoded once", () => {
    const { pipeline } = setupShell();
    const { encoder, counts } = makeEncoder();
    const sinks = [makeSink(), makeSink(), makeSink()];
    for (const { sink } of sinks) pipeline.addOutput({ encoder, sink, perEvent: true });
    pipeline.handleBatch(makeBatch(hit()));
    expect(counts.encoded).toBe(1);
    const [first, ...others] = sinks.map(({ writes }) => writes[0]?.bytes);
    expect(first).toBeDefined();
    for (const other of others) expect(other).toBe(first);
  });

  test("do not cost an encoding when no filter lets the event through", () => {
    const { pipeline } = setupShell();
    const { encoder, counts } = makeEncoder();
    pipeline.addOutput({ filter: isHook, encoder, sink: makeSink().sink, perEvent: true });
    pipeline.addOutput({ filter: () => false, encoder, sink: makeSink().sink, perEvent: true });
    pipeline.handleBatch(makeBatch(exec, exit));
    expect(counts.encoded).toBe(0);
  });

  test("may go while they get an event, and the others still get it", () => {
    const { pipeline } = setupShell();
    const { encoder } = makeEncoder();
    const leaving = makeSink(() => pipeline.removeOutput(output));
    const output: Output = { encoder, sink: leaving.sink, perEvent: true };
    const staying = makeSink();
    pipeline.addOutput(output);
    pipeline.addOutput({ encoder, sink: staying.sink, perEvent: true });
    pipeline.handleBatch(makeBatch(hit(), exec));
    expect(leaving.writes).toMatchObject([{ text: "hook " }]);
    expect(staying.writes).toMatchObject([{ text: "hook " }, { text: "exec " }]);
  });
});
