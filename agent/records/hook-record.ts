/** Where the parts of a hook record are. Finding them leaves no garbage behind. */
import type { HookDef } from "../../crds/hook-spec.ts";
import { type RecordBatch, W_SIZE } from "./decode.ts";
import {
  ARG_READ_FAILED,
  CRED_CHANGE_SIZE,
  HASH_SIZE,
  HOOK,
  HOOK_SIZE,
  RECORD_CRED_CHANGE,
  RECORD_HASH,
  RECORD_KERNEL_STACK,
  RECORD_RETURN,
  RECORD_USER_STACK,
  SLOT_SIZE,
} from "./layout.ts";

/** Flags of a record that has something after its slots. */
const EXTRA_FLAGS =
  RECORD_RETURN | RECORD_CRED_CHANGE | RECORD_KERNEL_STACK | RECORD_USER_STACK | RECORD_HASH;

const W_ACTION_ARGS = HOOK.selector >> 2;
const W_SYSCALL = HOOK.syscall >> 2;
const W_IN_EXEC = HOOK.in_exec >> 2;

/** The record of a task that is in no system call, or of a hook that does not show it. */
export const NO_SYSCALL = 0xffff_ffff;
const SLOT_WORDS = SLOT_SIZE >> 2;

/** How many of a hook's slots are arguments; values from elsewhere (`data`) come after them. */
export function argumentCount({ args }: Pick<HookDef, "args">): number {
  return args.filter(({ source }) => source === undefined).length;
}

/** The record's RECORD_ bits. */
export function recordFlags(words: Uint32Array, at: number): number {
  return (words[at] as number) >>> 16;
}

/** Index of the selector that matched; NO_SELECTOR for a hook without selectors. */
export function recordSelector(words: Uint32Array, at: number): number {
  return (words[at + W_ACTION_ARGS] as number) & 0xffff;
}

/** Whether the record has nothing but arguments. */
export function isPlain(words: Uint32Array, at: number): boolean {
  return (recordFlags(words, at) & EXTRA_FLAGS) === 0 && recordSyscall(words, at) === NO_SYSCALL;
}

/** Word index after the record. */
export function recordEnd(words: Uint32Array, at: number): number {
  return at + ((words[at + W_SIZE] as number) >>> 2);
}

/** Number of the action that the hook took. */
export function recordAction(words: Uint32Array, at: number): number {
  return ((words[at + W_ACTION_ARGS] as number) >>> 16) & 0xff;
}

/** Number of the system call that the task was in, with the bits of its ABI; or NO_SYSCALL. */
export function recordSyscall(words: Uint32Array, at: number): number {
  return words[at + W_SYSCALL] as number;
}

/** Whether the task was executing a file, as far as the kernel notes that in its task. */
export function recordInExec(words: Uint32Array, at: number): boolean {
  return words[at + W_IN_EXEC] !== 0;
}

/** Number of slots, arguments and data together. */
export function slotCount(words: Uint32Array, at: number): number {
  return (words[at + W_ACTION_ARGS] as number) >>> 24;
}

/** Word index of the first slot. */
export function firstSlot(at: number): number {
  return at + (HOOK_SIZE >> 2);
}

/** Word index of the slot after this one. */
export function nextSlot(words: Uint32Array, slot: number): number {
  return slot + SLOT_WORDS + (((words[slot + 1] as number) & 0xffff) >>> 2);
}

/** Whether the value of the slot could not be read. */
export function isUnread(words: Uint32Array, slot: number): boolean {
  return ((words[slot] as number) & 0xffff) === ARG_READ_FAILED;
}

/** How many pointers of the field path were followed before the read failed; 0: the value itself could not be read. */
export function failedDepth(words: Uint32Array, slot: number): number {
  return (words[slot] as number) >>> 16;
}

/** Word index of a slot's payload. */
export function payloadAt(slot: number): number {
  return slot + SLOT_WORDS;
}

/** Bytes of payload, never more than the slot has room for. */
export function payloadSize(words: Uint32Array, slot: number): number {
  const sizes = words[slot + 1] as number;
  return Math.min(sizes >>> 16, sizes & 0xffff);
}

/** Number of addresses in the slot of a stack; 0 for a stack that is absent (slot 0), empty, or could not be read. */
export function frameCount(words: Uint32Array, slot: number): number {
  return slot === 0 || isUnread(words, slot) ? 0 : payloadSize(words, slot) >>> 3;
}

/** Number of the error for which a stack could not be read; 0: it could, or the record has none. */
export function stackError(words: Uint32Array, slot: number): number {
  return slot !== 0 && isUnread(words, slot) ? failedDepth(words, slot) : 0;
}

/** Word indexes of what a hook record carries; 0: it does not carry this. */
export interface HookParts {
  /** First slot of data. */
  data: number;
  /** Slots of data. */
  dataCount: number;
  /** Slot of the return value. */
  returned: number;
  /** struct cred_change_value. */
  credChange: number;
  /** Slots of the stacks. */
  kernelStack: number;
  userStack: number;
  /** Slot of a struct hash_value. */
  hash: number;
}

const parts: HookParts = {
  data: 0,
  dataCount: 0,
  returned: 0,
  credChange: 0,
  kernelStack: 0,
  userStack: 0,
  hash: 0,
};

/**
 * Finds the parts of the record at a word index; a part that would reach beyond the record is absent. The result is one
 * object for all records: it holds until the next call.
 */
export function locateParts({ words }: RecordBatch, at: number, argCount: number): Readonly<HookParts> {
  const flags = recordFlags(words, at);
  const end = recordEnd(words, at);
  const count = slotCount(words, at);
  const argSlots = Math.min(count, argCount);
  parts.data = skipSlots(words, firstSlot(at), end, argSlots);
  parts.dataCount = parts.data === 0 ? 0 : count - argSlots;
  let next = parts.data === 0 ? end : skipSlots(words, parts.data, end, parts.dataCount) || end;
  /** The word index of a part of this size, if the record has it. */
  const take = (flag: number, sizeWords: number): number => {
    const part = next;
    if ((flags & flag) === 0 || part + sizeWords > end) return 0;
    next += sizeWords;
    return part;
  };
  const slotWords = () => (next + 1 < end ? nextSlot(words, next) - next : end + 1);
  parts.returned = take(RECORD_RETURN, slotWords());
  parts.credChange = take(RECORD_CRED_CHANGE, CRED_CHANGE_SIZE >> 2);
  parts.kernelStack = take(RECORD_KERNEL_STACK, slotWords());
  parts.userStack = take(RECORD_USER_STACK, slotWords());
  parts.hash = take(RECORD_HASH, (SLOT_SIZE + HASH_SIZE) >> 2);
  return parts;
}

/** Word index of a record's struct cred_change_value; 0: it has none. */
export function credentialChangeAt(batch: RecordBatch, at: number, argCount: number): number {
  if ((recordFlags(batch.words, at) & RECORD_CRED_CHANGE) === 0) return 0;
  return locateParts(batch, at, argCount).credChange;
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
