/** Events -> GetEventsResponse messages, put together from bytes that were made once per process, pod and hook. */
import { W_KTIME, W_TID } from "../../records/decode.ts";
import type { WallClock } from "../../records/wall-clock.ts";
import type { StackOptions } from "../../stacks/code-place.ts";
import type { ByteWriter } from "../byte-writer.ts";
import type { EventEncoder } from "../encoder.ts";
import type { ExecEvent, ExitEvent, HookEvent } from "../event.ts";
import { exitStatus, SIGNAL_NAMES, signalNumber } from "../exit-status.ts";
import type { CredentialChangeDetail } from "../json/credential-change.ts";
import type { NodeFields } from "../node-fields.ts";
import type { ProcessFieldOptions } from "../process-fields.ts";
import { eventKey, type HookOptions, writeHook } from "./hooks.ts";
import { writeTime } from "./messages.ts";
import { ProcessWriter } from "./processes.ts";
import { StackWriter } from "./stacks.ts";
import { bytesKey, ProtoWriter, varintKey } from "./writer.ts";

const PROCESS_EXEC = bytesKey(1);
const PROCESS_EXIT = bytesKey(5);
const RATE_LIMIT_INFO = bytesKey(40_001);
const NODE_NAME = bytesKey(1000);
const TIME = bytesKey(1001);
const CLUSTER_NAME = bytesKey(1003);
const NODE_LABELS = bytesKey(1004);
const EXIT = { signal: bytesKey(3), status: varintKey(4), time: bytesKey(5) } as const;

/** What events show, as the JSON encoder's options. */
export interface ProtobufOptions {
  nodeName: string;
  clock: WallClock;
  process?: ProcessFieldOptions;
  stacks?: StackOptions;
  /** Default: the fields that changed alone. */
  credentialChange?: CredentialChangeDetail;
  /** Default: neither a cluster nor labels. */
  node?: NodeFields;
}

/** Encodes one GetEventsResponse per event. */
export class ProtobufEncoder implements EventEncoder {
  readonly processes: ProcessWriter;
  readonly #clock: WallClock;
  readonly #hookOptions: HookOptions;
  readonly #nodeName: string;
  readonly #node: NodeFields;
  #labels: NodeFields["labels"];
  /** Fields of the node: its name, cluster and labels. */
  #nodeBytes: Uint8Array;
  readonly #out = new ProtoWriter();
  readonly #time = { seconds: 0, nanos: 0 };

  constructor(options: ProtobufOptions) {
    this.#clock = options.clock;
    this.processes = new ProcessWriter(options.process ?? {});
    this.#hookOptions = {
      stacks: new StackWriter(options.stacks),
      credentialChange: options.credentialChange ?? "changed",
    };
    this.#nodeName = options.nodeName;
    this.#node = options.node ?? {};
    this.#labels = this.#node.labels;
    this.#nodeBytes = encodeNode(options.nodeName, this.#node);
  }

  hook(into: ByteWriter, event: HookEvent): void {
    const { batch, at, image, hook } = event;
    const { words } = batch;
    const out = this.#out;
    const start = out.begin(eventKey(hook));
    this.processes.pair(out, image, words[at + W_TID] as number);
    this.processes.ancestors(out, image, hook.type);
    writeHook(out, event, this.#hookOptions);
    out.end(start);
    this.#finish(into, words[at + W_KTIME] as number, words[at + W_KTIME + 1] as number);
  }

  exec(into: ByteWriter, { image, tid, timeLow, timeHigh }: ExecEvent): void {
    const out = this.#out;
    const start = out.begin(PROCESS_EXEC);
    this.processes.executed(out, image, tid);
    this.processes.ancestors(out, image, "PROCESS_EXEC");
    out.end(start);
    this.#finish(into, timeLow, timeHigh);
  }

  exit(into: ByteWriter, { image, tid, code, timeLow, timeHigh }: ExitEvent): void {
    const out = this.#out;
    const start = out.begin(PROCESS_EXIT);
    this.processes.ended(out, image, tid);
    this.processes.ancestors(out, image, "PROCESS_EXIT");
    const signal = SIGNAL_NAMES.get(signalNumber(code));
    if (signal !== undefined) out.stringField(EXIT.signal, signal);
    const status = exitStatus(code);
    if (status !== 0) {
      out.varint(EXIT.status);
      out.varint(status);
    }
    this.#writeTime(EXIT.time, timeLow, timeHigh);
    out.end(start);
    this.#finish(into, timeLow, timeHigh);
  }

  /** A message about events that a stream has lost, at a time in milliseconds since the epoch. */
  lossMessage(lost: number, wallMs: number): Uint8Array {
    const out = new ProtoWriter();
    const start = out.begin(RATE_LIMIT_INFO);
    out.varint(varintKey(1));
    out.varint64(lost >>> 0, Math.floor(lost / 2 ** 32));
    out.end(start);
    this.#writeNode(out);
    const time = out.begin(TIME);
    writeTime(out, Math.floor(wallMs / 1000), (wallMs % 1000) * 1_000_000);
    out.end(time);
    return out.take();
  }

  /** Node and time, which stand behind each event, and the whole message into the output. */
  #finish(into: ByteWriter, timeLow: number, timeHigh: number): void {
    const out = this.#out;
    this.#writeNode(out);
    this.#writeTime(TIME, timeLow, timeHigh);
    into.bytes(out.view());
    out.length = 0;
  }

  #writeNode(out: ProtoWriter): void {
    if (this.#node.labels !== this.#labels) {
      this.#labels = this.#node.labels;
      this.#nodeBytes = encodeNode(this.#nodeName, this.#node);
    }
    out.bytes(this.#nodeBytes);
  }

  #writeTime(key: number, low: number, high: number): void {
    const time = this.#time;
    this.#clock.convert(low, high, time);
    const start = this.#out.begin(key);
    writeTime(this.#out, time.seconds, time.nanos);
    this.#out.end(start);
  }
}

function encodeNode(name: string, { clusterName, labels = {} }: NodeFields): Uint8Array {
  const out = new ProtoWriter();
  out.stringField(NODE_NAME, name);
  if (clusterName !== undefined) out.stringField(CLUSTER_NAME, clusterName);
  for (const [key, value] of Object.entries(labels)) {
    const entry = out.begin(NODE_LABELS);
    out.stringField(bytesKey(1), key);
    out.stringField(bytesKey(2), value);
    out.end(entry);
  }
  return out.take();
}
