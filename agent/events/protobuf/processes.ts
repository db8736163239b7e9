/** The Process message of an image, made once and copied into each of its events. */
import type { EventType } from "../../metrics/event-metrics.ts";
import type { Image } from "../../process/image.ts";
import { ENCODER_SLOTS } from "../../records/encoded.ts";
import { ancestorsOf, executedFields, type ProcessFieldOptions, processFields } from "../process-fields.ts";
import { encodeFields, PROCESS } from "./messages.ts";
import { bytesKey, ProtoWriter, varintKey } from "./writer.ts";

/** The bytes that the encoder keeps for an image. */
interface EncodedProcess {
  /** Everything but reference count and thread id, which events append. */
  readonly common: Uint8Array;
  /** What a process_exec has beyond it. */
  readonly executed: Uint8Array;
  /** The field `parent` in events of its children; made when there is one. */
  asParent: Uint8Array | undefined;
  /** The fields `process` and `parent`, as in hook events of the thread group leader. */
  pair: Uint8Array | undefined;
  /** What the encoder kept for the parent when it made `pair`. */
  pairParent: unknown;
}

const SLOT = ENCODER_SLOTS.protobuf;
const PROCESS_KEY = bytesKey(1);
/** Keys of the field `ancestors`. */
const ANCESTORS: Record<EventType, number> = {
  PROCESS_EXEC: bytesKey(3),
  PROCESS_EXIT: bytesKey(6),
  PROCESS_KPROBE: bytesKey(13),
  PROCESS_TRACEPOINT: bytesKey(11),
  PROCESS_LSM: bytesKey(10),
  CREDENTIAL_DRIFT: bytesKey(13),
};
const REFCNT_KEY = varintKey(13);
const TID_KEY = bytesKey(16);

/** Writes processes as fields of events. */
export class ProcessWriter {
  readonly #options: ProcessFieldOptions;
  readonly #scratch = new ProtoWriter();
  /** Apart from the other: a parent is made while a pair is. */
  readonly #parentScratch = new ProtoWriter();

  constructor(options: ProcessFieldOptions) {
    this.#options = options;
  }

  /** `process` and `parent` of a hook event. */
  pair(out: ProtoWriter, image: Image, tid: number): void {
    if (tid === image.pid) out.bytes(this.#pair(image));
    else this.#writePair(out, image, tid);
  }

  /** `ancestors`, if events of this type have them. */
  ancestors(out: ProtoWriter, image: Image, type: EventType): void {
    if (!this.#options.ancestors?.has(type)) return;
    for (const one of ancestorsOf(image)) this.#process(out, ANCESTORS[type], one, one.forked, one.pid);
  }

  /** `process` and `parent` of a process_exec. */
  executed(out: ProtoWriter, image: Image, tid: number): void {
    const { common, executed } = this.#encoded(image);
    const start = out.begin(PROCESS_KEY);
    out.bytes(common);
    out.bytes(executed);
    writeRest(out, image.forked, tid);
    out.end(start);
    this.#parent(out, image.parent, bytesKey(2));
  }

  /** `process` and `parent` of a process_exit. */
  ended(out: ProtoWriter, image: Image, tid: number): void {
    this.#process(out, PROCESS_KEY, image, image.forked, tid);
    this.#parent(out, image.parent, bytesKey(2));
  }

  /** A whole Process, by itself. */
  message(image: Image): Uint8Array {
    const out = new ProtoWriter();
    out.bytes(this.#encoded(image).common);
    writeRest(out, !image.ended, image.pid);
    return out.take();
  }

  #pair(image: Image): Uint8Array {
    const encoded = this.#encoded(image);
    const parent = image.parent?.encoded[SLOT];
    if (encoded.pair === undefined || encoded.pairParent !== parent) {
      this.#writePair(this.#scratch, image, image.pid);
      encoded.pair = this.#scratch.take();
      encoded.pairParent = image.parent?.encoded[SLOT];
    }
    return encoded.pair;
  }

  #writePair(out: ProtoWriter, image: Image, tid: number): void {
    this.#process(out, PROCESS_KEY, image, true, tid);
    this.#parent(out, image.parent, bytesKey(2));
  }

  #process(out: ProtoWriter, key: number, image: Image, isReferenced: boolean, tid: number): void {
    const start = out.begin(key);
    out.bytes(this.#encoded(image).common);
    writeRest(out, isReferenced, tid);
    out.end(start);
  }

  /** Parents are shown by their leader; upstream counts a reference of those that have not executed. */
  #parent(out: ProtoWriter, parent: Image | undefined, key: number): void {
    if (parent === undefined) return;
    const encoded = this.#encoded(parent);
    if (encoded.asParent === undefined) {
      this.#process(this.#parentScratch, key, parent, parent.forked, parent.pid);
      encoded.asParent = this.#parentScratch.take();
    }
    out.bytes(encoded.asParent);
  }

  #encoded(image: Image): EncodedProcess {
    const known = image.encoded[SLOT] as EncodedProcess | undefined;
    if (known !== undefined) return known;
    const made: EncodedProcess = {
      common: encodeFields(PROCESS, processFields(image, this.#options)),
      executed: encodeFields(PROCESS, executedFields(image.facts, this.#options)),
      asParent: undefined,
      pair: undefined,
      pairParent: undefined,
    };
    image.encoded[SLOT] = made;
    return made;
  }
}

function writeRest(out: ProtoWriter, isReferenced: boolean, tid: number): void {
  if (isReferenced) {
    out.varint(REFCNT_KEY);
    out.byte(1);
  }
  out.wrappedUint32(TID_KEY, tid);
}
