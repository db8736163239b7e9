/**
 * CPU per event of the agent's data path, from a batch of records to JSON lines and to protobuf; prints a table.
 *
 *   node bench/encode.ts
 */
import { Registry } from "prom-client";
import { noExports } from "../agent/events/export/sink.ts";
import { compileFilters } from "../agent/events/filters/compile.ts";
import { compileFieldFilters, type EventRewriter } from "../agent/events/filters/fields.ts";
import { compileJsonFieldFilters } from "../agent/events/filters/json-fields.ts";
import { JsonEncoder } from "../agent/events/json/encoder.ts";
import { FieldEncoder } from "../agent/events/json/field-encoder.ts";
import type { Output } from "../agent/events/outputs.ts";
import { EventPipeline } from "../agent/events/pipeline.ts";
import { ProtobufEncoder } from "../agent/events/protobuf/encoder.ts";
import { makeHookDef } from "../agent/events/testing/pipeline.ts";
import { EventMetrics } from "../agent/metrics/event-metrics.ts";
import { PodStore } from "../agent/pods/pod-store.ts";
import { PodResolver } from "../agent/pods/resolver.ts";
import { ProcessCache } from "../agent/process/cache.ts";
import {
  type CredChangeFields,
  credSlot,
  type HookFields,
  integerSlot,
  makeBatch,
  makeExec,
  makeExit,
  makeFork,
  makeHook,
} from "../agent/records/testing/records.ts";
import { WallClock } from "../agent/records/wall-clock.ts";

const CONTAINER = "0123456789abcdef".repeat(4);
const PROCESSES = 200;
const EVENTS_PER_BATCH = 400;
const ROUNDS = 12;
const ROUND_MS = 200;

/** Counts bytes and keeps nothing. */
class NullSink {
  readonly stats = noExports();
  readonly #rewrite: EventRewriter | undefined;

  constructor(rewrite: EventRewriter | undefined) {
    this.#rewrite = rewrite;
  }

  write(chunk: Uint8Array, events: number): void {
    this.stats.events += events;
    this.stats.bytes += (this.#rewrite ? this.#rewrite(chunk) : chunk).length;
  }

  room(): undefined {}
  async flush(): Promise<void> {}

  async close(): Promise<void> {}
}

/** Lists as Tetragon's chart has them by default, and one that looks at the pod and the binary of each event. */
const ALLOW = [
  { event_set: ["PROCESS_EXEC", "PROCESS_EXIT", "PROCESS_KPROBE", "PROCESS_TRACEPOINT", "PROCESS_LSM"] },
];
const DENY = [
  { health_check: true },
  { namespace: ["", "cilium", "kube-system"] },
  { pod_regex: ["^kube-"], binary_regex: ["^/usr/sbin/"] },
];
const FIELDS = [{ fields: "process.pod.pod_labels,parent", action: "EXCLUDE" as const }];

/** An output, and what a client's stream makes of each message. */
type Encoding = (options: { nodeName: string; clock: WallClock }) => Omit<Output, "sink"> & {
  rewrite?: EventRewriter | undefined;
};

/**
 * Lines for the export, without filters, with lists and with fields left out; and messages as clients of the API get them,
 * also with lists and with fields left out.
 */
const ENCODINGS: Record<string, Encoding> = {
  json: (options) => ({ encoder: new JsonEncoder(options) }),
  "+ lists": (options) => {
    const filter = compileFilters(ALLOW, DENY, () => () => false);
    return { encoder: new JsonEncoder(options), ...(filter && { filter }) };
  },
  "+ fields": (options) => {
    return { encoder: new FieldEncoder(new JsonEncoder(options), compileJsonFieldFilters(FIELDS)) };
  },
  protobuf: (options) => ({ encoder: new ProtobufEncoder(options), perEvent: true }),
  "pb lists": (options) => {
    const filter = compileFilters(ALLOW, DENY, () => () => false);
    return { encoder: new ProtobufEncoder(options), perEvent: true, ...(filter && { filter }) };
  },
  "pb fields": (options) => {
    return { encoder: new ProtobufEncoder(options), perEvent: true, rewrite: compileFieldFilters(FIELDS) };
  },
};

function makeParts(encoding: Encoding) {
  const clock = new WallClock({ bootTimeNs: () => process.hrtime.bigint(), wallMs: Date.now });
  const store = new PodStore();
  store.put({
    metadata: {
      name: "web-7d4b9c-abcde",
      namespace: "shop",
      uid: "u",
      labels: { app: "web", "pod-template-hash": "7d4b9c" },
    },
    status: {
      containerStatuses: [
        {
          name: "web",
          containerID: `containerd://${CONTAINER}`,
          image: "docker.io/library/web:1",
          imageID: `web@sha256:${CONTAINER}`,
        },
      ],
    },
  });
  const proc = { read: () => undefined, isAlive: () => true };
  const processes = new ProcessCache({ nodeName: "node-1", clock, proc });
  const { rewrite, ...output } = encoding({ nodeName: "node-1", clock });
  const sink = new NullSink(rewrite);
  const metrics = new EventMetrics(new Registry(), "node-1");
  const pods = new PodResolver(store);
  const outputs = [{ ...output, sink }];
  const pipeline = new EventPipeline({ processes, pods, outputs, metrics, clock });
  const policy = { kind: "TracingPolicy", name: "bench" } as const;
  pipeline.registerHook(1, { policy, def: makeHookDef(), functionName: "commit_creds" });
  const args = [{ index: 0, type: "int" as const }];
  pipeline.registerHook(2, { policy, def: makeHookDef({ args }), functionName: "__x64_sys_setuid" });
  const withReturn = makeHookDef({ args, returnArg: { type: "int" } });
  pipeline.registerHook(3, { policy, def: withReturn, functionName: "__x64_sys_setuid" });
  return { pipeline, sink };
}

const allCapabilities = {
  cap_permitted: 0x1ff_ffff_ffffn,
  cap_effective: 0x1ff_ffff_ffffn,
  user_ns_inum: 4026531837,
};
const lostRoot: CredChangeFields = {
  changed: ["uid", "euid", "suid", "fsuid", "cap_permitted", "cap_effective"],
  old: allCapabilities,
  new: { uid: 1000, euid: 1000, suid: 1000, fsuid: 1000, user_ns_inum: 4026531837 },
  oldRest: { cap_bounding: 0x1ff_ffff_ffffn, groups: [0, 4, 27], session_keyring: 1_073_741_823 },
  newRest: { cap_bounding: 0x1ff_ffff_ffffn, groups: [0, 4, 27], session_keyring: 1_073_741_823 },
};

const cred = credSlot(allCapabilities);

function exec(pid: number, seq: number): Uint8Array {
  const argv = ["app", "--config", "/etc/app/config.yaml", "--verbose"];
  return makeExec({
    pid,
    seq,
    ktimeNs: BigInt(seq),
    filename: "/usr/bin/app",
    argv,
    cwd: "/srv",
    parentPid: 0,
    cgroup: CONTAINER,
  });
}

/** One batch of hits spread over the processes. */
function hits(make: (i: number) => Partial<HookFields>): ArrayBuffer {
  const records = Array.from({ length: EVENTS_PER_BATCH }, (_, i) =>
    makeHook({ pid: 100 + (i % PROCESSES), seq: 1, ktimeNs: BigInt(i) * 1_000_003n, hookId: 1, ...make(i) }),
  );
  return makeBatch(...records);
}

/** A fork, an exec and an exit each. */
function shortLived(): ArrayBuffer {
  const records = Array.from({ length: EVENTS_PER_BATCH / 2 }, (_, i) => {
    const child = { pid: 10_000 + i, seq: 1, ktimeNs: BigInt(i + 5) };
    return [makeFork({ ...child, parentPid: 100 }), exec(child.pid, 2), makeExit({ ...child, seq: 2 })];
  });
  return makeBatch(...records.flat());
}

const loads: Record<string, ArrayBuffer> = {
  "commit_creds, all capabilities": hits(() => ({ slots: [cred] })),
  "commit_creds, threads": hits((i) => ({ slots: [cred], tid: 50_000 + i })),
  "setuid, one int": hits(() => ({ hookId: 2, slots: [integerSlot(0)] })),
  "commit_creds with its change": hits(() => ({ slots: [cred], credChange: lostRoot })),
  "setuid with its return value": hits(() => ({
    hookId: 3,
    slots: [integerSlot(0)],
    returned: integerSlot(-1),
  })),
  "exec and exit": shortLived(),
};

/** The best of some rounds: other load on the machine only ever adds time. */
function bestRound(batch: ArrayBuffer, encoding: Encoding): { nanos: number; bytes: number } {
  const { pipeline, sink } = makeParts(encoding);
  pipeline.handleBatch(makeBatch(...Array.from({ length: PROCESSES }, (_, i) => exec(100 + i, 1))));
  let nanos = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const before = sink.stats.events;
    const cpu = process.cpuUsage();
    const start = performance.now();
    while (performance.now() - start < ROUND_MS) pipeline.handleBatch(batch);
    const used = process.cpuUsage(cpu);
    nanos = Math.min(nanos, ((used.user + used.system) * 1000) / (sink.stats.events - before));
  }
  return { nanos, bytes: sink.stats.bytes / sink.stats.events };
}

console.log("load                              encoding   ns/event   bytes/event   MB/s");
for (const [name, batch] of Object.entries(loads)) {
  for (const [encoding, make] of Object.entries(ENCODINGS)) report(name, encoding, bestRound(batch, make));
}

function report(name: string, encoding: string, { nanos, bytes }: ReturnType<typeof bestRound>): void {
  const speed = (bytes / nanos) * 1000;
  console.log(
    name.padEnd(34) +
      encoding.padEnd(11) +
      nanos.toFixed(0).padStart(8) +
      bytes.toFixed(0).padStart(14) +
      speed.toFixed(0).padStart(7),
  );
}
