/** Events of records that carry more than arguments: data, a return value, stacks, changed credentials. */
import type { Image } from "../../process/image.ts";
import type { RecordBatch } from "../../records/decode.ts";
import {
  ARG_READ_FAILED,
  CRED_CHANGE_SIZE,
  HASH_SIZE,
  RECORD_CRED_CHANGE,
  RECORD_CRED_FAILED,
  RECORD_HASH,
  RECORD_KERNEL_STACK,
  RECORD_RETURN,
  RECORD_USER_STACK,
  SLOT_SIZE,
} from "../../records/layout.ts";
import { type ByteWriter, utf8 } from "../byte-writer.ts";
import { writeCredentialChange } from "./credentials.ts";
import { writeHash } from "./hashes.ts";
import {
  firstSlot,
  type HookFragments,
  nextSlot,
  recordAction,
  slotCount,
  writeArguments,
  writeData,
  writeReturn,
} from "./hooks.ts";
import type { StackWriter } from "./stacks.ts";

/** Flags of a record that has something after its slots. */
export const EXTRA_FLAGS =
  RECORD_RETURN | RECORD_CRED_CHANGE | RECORD_KERNEL_STACK | RECORD_USER_STACK | RECORD_HASH;

/** Word indexes of what a hook record carries; 0: it does not. */
interface ExtraPlaces {
  data: number;
  /** Slots of data. */
  dataCount: number;
  returned: number;
  credChange: number;
  kernelStack: number;
  userStack: number;
  hash: number;
}

/** One for all records: locating them must not leave garbage behind. */
const places: ExtraPlaces = {
  data: 0,
  dataCount: 0,
  returned: 0,
  credChange: 0,
  kernelStack: 0,
  userStack: 0,
  hash: 0,
};

/** Finds the parts of the record at `at`, which ends at the word index `end`; what would reach beyond is absent. */
function locateExtras(
  { words }: RecordBatch,
  at: number,
  end: number,
  { arguments: args }: HookFragments,
  places: ExtraPlaces,
): ExtraPlaces {
  const flags = (words[at] as number) >>> 16;
  const count = slotCount(words, at);
  const argCount = Math.min(count, args.length);
  places.data = skipSlots(words, firstSlot(at), end, argCount);
  places.dataCount = places.data === 0 ? 0 : count - argCount;
  let next = places.data === 0 ? end : skipSlots(words, places.data, end, places.dataCount) || end;
  /** The word index of a part of this size, if the record has it. */
  const take = (flag: number, sizeWords: number): number => {
    const place = next;
    if ((flags & flag) === 0 || place + sizeWords > end) return 0;
    next += sizeWords;
    return place;
  };
  const slotWords = () => (next + 1 < end ? nextSlot(words, next) - next : end + 1);
  places.returned = take(RECORD_RETURN, slotWords());
  places.credChange = take(RECORD_CRED_CHANGE, CRED_CHANGE_SIZE >> 2);
  places.kernelStack = take(RECORD_KERNEL_STACK, slotWords());
  places.userStack = take(RECORD_USER_STACK, slotWords());
  places.hash = take(RECORD_HASH, (SLOT_SIZE + HASH_SIZE) >> 2);
  return places;
}

/** Word index of a record's struct cred_change_value; 0: it has none. */
export function credentialChangeAt(
  batch: RecordBatch,
  at: number,
  end: number,
  fragments: HookFragments,
): number {
  if ((((batch.words[at] as number) >>> 16) & RECORD_CRED_CHANGE) === 0) return 0;
  return locateExtras(batch, at, end, fragments, places).credChange;
}

/** 0: they do not end within the record. */
function skipSlots(words: Uint32Array, from: number, end: number, count: number): number {
  let slot = from;
  for (let i = 0; i < count; i++) {
    slot = nextSlot(words, slot);
    if (!(slot <= end)) return 0;
  }
  return slot;
}

const KERNEL_STACK = utf8(',"kernel_stack_trace":');
const USER_STACK = utf8(',"user_stack_trace":');
const CHANGE_FAILED = utf8(',"credential_change":{"error_arg":{"Message":"Bad address for basic type"}}');

/** From the arguments to the time of an event whose record has EXTRA_FLAGS or whose hook has data. */
export function writeExtended(
  out: ByteWriter,
  batch: RecordBatch,
  at: number,
  end: number,
  image: Image,
  fragments: HookFragments,
  stacks: StackWriter,
): void {
  const { words } = batch;
  const { data, dataCount, returned, credChange, kernelStack, userStack, hash } = locateExtras(
    batch,
    at,
    end,
    fragments,
    places,
  );
  writeArguments(out, batch, at, end, fragments.arguments);
  if (returned !== 0 && fragments.returned !== undefined) {
    writeReturn(out, batch, returned, end, fragments.returned);
  }
  const action = recordAction(words, at);
  out.bytes((fragments.byAction[action] ?? fragments.makeAction(action)).action);
  if (hasFrames(words, kernelStack)) {
    out.bytes(KERNEL_STACK);
    stacks.kernel(out, words, framesAt(kernelStack), frameCount(words, kernelStack));
  }
  out.bytes(fragments.afterKernelStack);
  if (hasFrames(words, userStack)) {
    out.bytes(USER_STACK);
    stacks.user(out, words, framesAt(userStack), frameCount(words, userStack), image);
  }
  // of a file that could not be read there is none
  if (hash !== 0 && ((words[hash] as number) & 0xffff) !== ARG_READ_FAILED) {
    writeHash(out, batch, hash + (SLOT_SIZE >> 2));
  }
  if (dataCount > 0) writeData(out, batch, data, end, fragments.data, dataCount);
  if (credChange !== 0) {
    // of credentials that could not be read, the record has zeros
    if ((((words[at] as number) >>> 16) & RECORD_CRED_FAILED) !== 0) out.bytes(CHANGE_FAILED);
    else writeCredentialChange(out, batch, credChange);
  }
  out.bytes(fragments.end);
}

/** A stack that could not be read, or is empty, is not shown: a list without entries has no place in upstream's JSON. */
function hasFrames(words: Uint32Array, slot: number): boolean {
  return slot !== 0 && ((words[slot] as number) & 0xffff) !== ARG_READ_FAILED && frameCount(words, slot) > 0;
}

function framesAt(slot: number): number {
  return slot + (SLOT_SIZE >> 2);
}

function frameCount(words: Uint32Array, slot: number): number {
  const sizes = words[slot + 1] as number;
  return Math.min(sizes >>> 16, sizes & 0xffff) >>> 3;
}
