/** Events -> JSON lines, put together from bytes that were made once per process, pod and hook. */
import type { EventType } from "../../metrics/event-metrics.ts";
import type { Image } from "../../process/image.ts";
import { W_KTIME, W_TID } from "../../records/decode.ts";
import { ENCODER_SLOTS } from "../../records/encoded.ts";
import { isPlain, recordAction, recordEnd } from "../../records/hook-record.ts";
import type { WallClock } from "../../records/wall-clock.ts";
import type { StackOptions } from "../../stacks/code-place.ts";
import { type ByteWriter, utf8 } from "../byte-writer.ts";
import type { EventEncoder } from "../encoder.ts";
import type { ExecEvent, ExitEvent, HookEvent, RegisteredHook } from "../event.ts";
import { exitStatus, SIGNAL_NAMES, signalNumber } from "../exit-status.ts";
import type { NodeFields } from "../node-fields.ts";
import { ancestorsOf, type ProcessFieldOptions } from "../process-fields.ts";
import type { CredentialChangeDetail } from "./credential-change.ts";
import { type ExtraOptions, writeExtended } from "./hook-extras.ts";
import { type HookFragments, makeHookFragments, writeArguments } from "./hooks.ts";
import { type EncodedProcess, encodeProcess } from "./processes.ts";
import { StackWriter } from "./stacks.ts";

const PROCESS = utf8('"process":');
const PARENT = utf8(',"parent":');
const ANCESTORS = utf8(',"ancestors":[');
const COMMA = utf8(",");
const END_OF_LIST = utf8("]");
const REFCNT = utf8(',"refcnt":1');
const EXEC_OPEN = utf8('{"process_exec":{"process":');
const EXIT_OPEN = utf8('{"process_exit":{"process":');
const INNER_TIME = utf8(',"time":"');
const QUOTE = utf8('"');
const STATUS = utf8(',"status":');
const ZULU = 0x5a;
const SLOT = ENCODER_SLOTS.json;

const SIGNALS = new Map([...SIGNAL_NAMES].map(([number, name]) => [number, utf8(`,"signal":"${name}"`)]));

/** Encodes events as upstream's export file has them, one per line. */
export class JsonEncoder implements EventEncoder {
  readonly #clock: WallClock;
  readonly #nodeName: string;
  readonly #options: ProcessFieldOptions;
  readonly #extras: ExtraOptions;
  /** Ends an exec or exit event and begins its time. */
  readonly #nodeAndTime: Uint8Array;
  readonly #node: NodeFields;
  #labels: NodeFields["labels"];
  /** Ends the time and the line. */
  #end: Uint8Array;
  readonly #time = { seconds: 0, nanos: 0 };
  /** `2026-11-23T20:39:14` of the second of the last event. */
  #second = -1;
  #secondText: Uint8Array = new Uint8Array(0);

  constructor(options: {
    nodeName: string;
    clock: WallClock;
    process?: ProcessFieldOptions;
    stacks?: StackOptions;
    credentialChange?: CredentialChangeDetail;
    node?: NodeFields;
  }) {
    this.#node = options.node ?? {};
    this.#labels = this.#node.labels;
    this.#end = makeEnd(this.#node);
    this.#nodeName = options.nodeName;
    this.#clock = options.clock;
    this.#options = options.process ?? {};
    this.#extras = {
      stacks: new StackWriter(options.stacks),
      credentialChange: options.credentialChange ?? "changed",
    };
    this.#nodeAndTime = utf8(`},"node_name":${JSON.stringify(options.nodeName)},"time":"`);
  }

  hook(out: ByteWriter, event: HookEvent): void {
    const { batch, at, image, hook } = event;
    const { words } = batch;
    const fragments = this.#fragments(hook);
    out.bytes(fragments.open);
    const tid = words[at + W_TID] as number;
    if (tid === image.pid) out.bytes(this.#pair(image));
    else this.#processAndParent(out, image, tid);
    this.#ancestors(out, image, hook.type);
    out.bytes(fragments.beforeArguments);
    const end = recordEnd(words, at);
    if (isPlain(words, at) && fragments.data.length === 0) {
      writeArguments(out, batch, at, end, fragments.arguments);
      const action = recordAction(words, at);
      out.bytes((fragments.byAction[action] ?? fragments.makeAction(action)).whole);
    } else {
      writeExtended(out, event, end, fragments, this.#extras);
    }
    this.#writeTime(out, words[at + W_KTIME] as number, words[at + W_KTIME + 1] as number);
    this.#lineEnd(out);
  }

  exec(out: ByteWriter, event: ExecEvent): void {
    const { image, tid } = event;
    const json = this.#encoded(image);
    out.bytes(EXEC_OPEN);
    this.#process(out, image, tid, image.forked, json.execTail);
    this.#parent(out, image.parent);
    this.#ancestors(out, image, "PROCESS_EXEC");
    out.bytes(this.#nodeAndTime);
    this.#writeTime(out, event.timeLow, event.timeHigh);
    this.#lineEnd(out);
  }

  exit(out: ByteWriter, event: ExitEvent): void {
    const { image, tid, code } = event;
    const json = this.#encoded(image);
    out.bytes(EXIT_OPEN);
    this.#process(out, image, tid, image.forked, json.tail);
    this.#parent(out, image.parent);
    this.#ancestors(out, image, "PROCESS_EXIT");
    this.#exitStatus(out, code);
    out.bytes(INNER_TIME);
    this.#writeTime(out, event.timeLow, event.timeHigh);
    out.bytes(QUOTE);
    out.bytes(this.#nodeAndTime);
    this.#writeTime(out, event.timeLow, event.timeHigh);
    this.#lineEnd(out);
  }

  /** The line that reports events which a rate limit has dropped, at a wall-clock time. */
  lossLine(dropped: number, wallMs: number): string {
    const info = JSON.stringify({ number_of_dropped_process_events: String(dropped) });
    const node = JSON.stringify(this.#nodeName);
    const time = new Date(wallMs).toISOString();
    return `{"rate_limit_info":${info},"node_name":${node},"time":"${time}${Buffer.from(makeEnd(this.#node))}`;
  }

  #lineEnd(out: ByteWriter): void {
    if (this.#node.labels !== this.#labels) {
      this.#labels = this.#node.labels;
      this.#end = makeEnd(this.#node);
    }
    out.bytes(this.#end);
  }

  #exitStatus(out: ByteWriter, code: number): void {
    const signal = SIGNALS.get(signalNumber(code));
    if (signal !== undefined) out.bytes(signal);
    const status = exitStatus(code);
    if (status === 0) return;
    out.bytes(STATUS);
    out.uint32(status);
  }

  /** Cached until more becomes known of the image or its parent, which voids its bytes. */
  #pair(image: Image): Uint8Array {
    const json = this.#encoded(image);
    const { parent } = image;
    if (json.pair === undefined || json.pairParent !== parent?.encoded[SLOT]) {
      json.pair = this.#makePair(image);
      json.pairParent = parent?.encoded[SLOT];
    }
    return json.pair;
  }

  #makePair(image: Image): Uint8Array {
    const { head, middle, tail } = this.#encoded(image);
    const parent = image.parent === undefined ? [] : [PARENT, this.#asParent(image.parent)];
    return Buffer.concat([PROCESS, head, REFCNT, middle, utf8(String(image.pid)), tail, ...parent]);
  }

  /** The same as pair(), for a thread other than the leader. */
  #processAndParent(out: ByteWriter, image: Image, tid: number): void {
    out.bytes(PROCESS);
    this.#process(out, image, tid, true, this.#encoded(image).tail);
    this.#parent(out, image.parent);
  }

  #process(out: ByteWriter, image: Image, tid: number, refcnt: boolean, tail: Uint8Array): void {
    const { head, middle } = this.#encoded(image);
    out.bytes(head);
    if (refcnt) out.bytes(REFCNT);
    out.bytes(middle);
    out.uint32(tid);
    out.bytes(tail);
  }

  #parent(out: ByteWriter, parent: Image | undefined): void {
    if (parent === undefined) return;
    out.bytes(PARENT);
    out.bytes(this.#asParent(parent));
  }

  /** Ancestors look like parents. */
  #ancestors(out: ByteWriter, image: Image, type: EventType): void {
    if (!this.#options.ancestors?.has(type)) return;
    const ancestors = ancestorsOf(image);
    for (const [index, ancestor] of ancestors.entries()) {
      out.bytes(index === 0 ? ANCESTORS : COMMA);
      out.bytes(this.#asParent(ancestor));
    }
    if (ancestors.length > 0) out.bytes(END_OF_LIST);
  }

  /** Parents are shown by their leader; upstream counts a reference of those that have not executed. */
  #asParent(parent: Image): Uint8Array {
    const json = this.#encoded(parent);
    json.asParent ??= Buffer.concat([
      json.head,
      ...(parent.forked ? [REFCNT] : []),
      json.middle,
      utf8(String(parent.pid)),
      json.tail,
    ]);
    return json.asParent;
  }

  #encoded(image: Image): EncodedProcess {
    const known = image.encoded[SLOT] as EncodedProcess | undefined;
    if (known !== undefined) return known;
    const made = encodeProcess(image, this.#options);
    image.encoded[SLOT] = made;
    return made;
  }

  #fragments(hook: RegisteredHook): HookFragments {
    const known = hook.encoded[SLOT] as HookFragments | undefined;
    if (known !== undefined) return known;
    const made = makeHookFragments(hook, this.#nodeName);
    hook.encoded[SLOT] = made;
    return made;
  }

  #writeTime(out: ByteWriter, low: number, high: number): void {
    const time = this.#time;
    this.#clock.convert(low, high, time);
    if (time.seconds !== this.#second) {
      this.#second = time.seconds;
      this.#secondText = utf8(new Date(time.seconds * 1000).toISOString().slice(0, 19));
    }
    out.bytes(this.#secondText);
    out.fraction(time.nanos);
    out.byte(ZULU);
  }
}

function makeEnd({ clusterName, labels }: NodeFields): Uint8Array {
  const cluster = clusterName === undefined ? "" : `,"cluster_name":${JSON.stringify(clusterName)}`;
  const isLabelled = labels !== undefined && Object.keys(labels).length > 0;
  return utf8(`"${cluster}${isLabelled ? `,"node_labels":${JSON.stringify(labels)}` : ""}}\n`);
}
