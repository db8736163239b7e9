/** A pipeline with everything around it replaced, for tests. */
import assert from "node:assert/strict";
import { Registry } from "prom-client";
import type { HookDef } from "../../../crds/hook-spec.ts";
import { EventMetrics } from "../../metrics/event-metrics.ts";
import type { PodStore } from "../../pods/pod-store.ts";
import { PodResolver } from "../../pods/resolver.ts";
import { ProcessCache, type ProcessCacheOptions } from "../../process/cache.ts";
import type { ScannedProcess } from "../../process/scan.ts";
import { makeWallClock, TestClock } from "../../records/testing/clock.ts";
import {
  type HookFields,
  makeBatch,
  makeExec,
  makeHook,
  type SlotFields,
} from "../../records/testing/records.ts";
import type { StackOptions } from "../../stacks/code-place.ts";
import { type EventSink, noExports } from "../export/sink.ts";
import type { CredentialChangeDetail } from "../json/credential-change.ts";
import { JsonEncoder } from "../json/encoder.ts";
import type { Output } from "../outputs.ts";
import { EventPipeline, type PipelineDeps } from "../pipeline.ts";
import type { ProcessFieldOptions } from "../process-fields.ts";
import { ProtobufEncoder } from "../protobuf/encoder.ts";
import { protoJson } from "./protobuf.ts";

/** Keeps what it is given; its lines are also those of the protobuf output beside it. */
export class MemorySink implements EventSink {
  readonly stats = noExports();
  readonly chunks: Uint8Array[] = [];
  /** The same events as protobuf. */
  readonly messages: Uint8Array[] = [];
  isTwofold = false;

  write(chunk: Uint8Array, events: number): void {
    this.chunks.push(chunk);
    this.stats.events += events;
    this.stats.bytes += chunk.length;
  }

  room(): undefined {}

  async flush(): Promise<void> {}

  async close(): Promise<void> {}

  /** Everything written since the last call, line by line. Fails where the other encoding has other events. */
  takeLines(): string[] {
    const text = Buffer.concat(this.chunks).toString("utf8");
    this.chunks.length = 0;
    const lines = text.split("\n").filter(Boolean);
    const others = this.messages.splice(0);
    if (this.isTwofold) {
      assert.deepEqual(
        others.map((bytes) => protoJson("tetragon.GetEventsResponse", bytes)),
        lines.map((line) => JSON.parse(line, likeProtobuf)),
      );
    }
    return lines;
  }
}

/** Protobuf leaves out zeros that no kernel reports. */
function likeProtobuf(key: string, value: unknown): unknown {
  return (key === "inum" && value === 0) || value === "KPROBE_ACTION_UNKNOWN" ? undefined : value;
}

/** A pipeline with one output, JSON lines in a MemorySink, and the parts that a test moves or looks at. */
export function makePipeline(
  changes: Partial<PipelineDeps> & {
    store?: PodStore;
    proc?: Map<number, ScannedProcess>;
    cache?: Partial<ProcessCacheOptions>;
    processFields?: ProcessFieldOptions;
    stacks?: StackOptions;
    credentialChange?: CredentialChangeDetail;
    registry?: Registry;
  } = {},
) {
  const clock = new TestClock();
  const wallClock = makeWallClock(clock);
  const proc = changes.proc ?? new Map<number, ScannedProcess>();
  const processes = new ProcessCache({
    nodeName: "node-1",
    clock: wallClock,
    proc: { read: (pid) => proc.get(pid), isAlive: () => true },
    ...changes.cache,
  });
  const sink = new MemorySink();
  const { registry = new Registry() } = changes;
  const metrics = new EventMetrics(registry, "node-1");
  const pods = new PodResolver(changes.store);
  const { processFields: process = {}, stacks = {}, credentialChange = "changed" } = changes;
  const options = { nodeName: "node-1", clock: wallClock, process, stacks, credentialChange };
  const encoder = new JsonEncoder(options);
  const protobuf: Output = {
    encoder: new ProtobufEncoder(options),
    sink: { write: (bytes) => sink.messages.push(bytes), flush: async () => {} },
    perEvent: true,
  };
  sink.isTwofold = changes.outputs === undefined;
  const pipeline = new EventPipeline({
    processes,
    pods,
    outputs: [{ encoder, sink }, protobuf],
    metrics,
    clock: wallClock,
    ...changes,
  });
  return { pipeline, clock, wallClock, processes, sink, registry, metrics, proc };
}

/** A hook as a policy would define it. */
export function makeHookDef(changes: Partial<HookDef> = {}): HookDef {
  return {
    path: "spec.kprobes[0]",
    section: "kprobes",
    call: "commit_creds",
    syscall: false,
    ignoreCallNotFound: false,
    args: [{ index: 0, type: "cred" }],
    selectors: [],
    ...changes,
  };
}

/** Policy of setupShell's hook. */
export const TEST_POLICY = { kind: "TracingPolicy", name: "creds" } as const;

/** The exec of setupShell's process: /bin/sh, pid 10, 20 ms after boot. */
export const SHELL_EXEC = { pid: 10, ktimeNs: 20_000_000n, filename: "/bin/sh", parentPid: 0, seq: 1 };

/** A pipeline with one hook, id 7, and one process; its process_exec is taken already. */
export function setupShell(def = makeHookDef(), options: Parameters<typeof makePipeline>[0] = {}) {
  const parts = makePipeline(options);
  const functionName = def.syscall ? `__x64_${def.call}` : def.call;
  parts.pipeline.registerHook(7, { policy: TEST_POLICY, def, functionName });
  parts.pipeline.handleBatch(makeBatch(makeExec(SHELL_EXEC)));
  parts.sink.takeLines();
  return parts;
}

/** A hit of setupShell's hook by its process, 30 ms after boot. */
export function makeHit(slots: SlotFields[], changes: Partial<HookFields> = {}): Uint8Array {
  return makeHook({ pid: 10, ktimeNs: 30_000_000n, seq: 1, hookId: 7, slots, ...changes });
}

/** Parsed lines. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into events of every shape
export function parseLines(lines: string[]): any[] {
  return lines.map((line) => JSON.parse(line));
}
