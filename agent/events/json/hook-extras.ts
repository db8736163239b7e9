/** Events of records that carry more than arguments: data, a return value, stacks, changed credentials. */
import {
  frameCount,
  isUnread,
  locateParts,
  payloadAt,
  recordAction,
  recordFlags,
  stackError,
} from "../../records/hook-record.ts";
import { RECORD_CRED_FAILED } from "../../records/layout.ts";
import { type ByteWriter, utf8 } from "../byte-writer.ts";
import type { HookEvent } from "../event.ts";
import { type CredentialChangeDetail, writeCredentialChange } from "./credential-change.ts";
import { writeHash } from "./hashes.ts";
import { type HookFragments, writeArguments, writeData, writeReturn } from "./hooks.ts";
import type { StackWriter } from "./stacks.ts";
import { writeSystemCall } from "./system-call.ts";

const KERNEL_STACK = utf8(',"kernel_stack_trace":');
const USER_STACK = utf8(',"user_stack_trace":');
const CHANGE_FAILED = utf8(',"credential_change":{"error_arg":{"Message":"Bad address for basic type"}}');

/** How the parts are shown that have options. */
export interface ExtraOptions {
  stacks: StackWriter;
  credentialChange: CredentialChangeDetail;
}

/** From the arguments to the time of an event whose record has more than arguments, or whose hook has data. */
export function writeExtended(
  out: ByteWriter,
  { batch, at, image, hook }: HookEvent,
  end: number,
  fragments: HookFragments,
  { stacks, credentialChange }: ExtraOptions,
): void {
  const { words } = batch;
  const { data, dataCount, returned, credChange, kernelStack, userStack, hash } = locateParts(
    batch,
    at,
    hook.argCount,
  );
  writeArguments(out, batch, at, end, fragments.arguments);
  if (returned !== 0 && fragments.returned !== undefined) {
    writeReturn(out, batch, returned, end, fragments.returned);
  }
  const action = recordAction(words, at);
  out.bytes((fragments.byAction[action] ?? fragments.makeAction(action)).action);
  writeStack(out, KERNEL_STACK, words, kernelStack, stacks, (at, count) =>
    stacks.kernel(out, words, at, count),
  );
  out.bytes(fragments.afterKernelStack);
  writeStack(out, USER_STACK, words, userStack, stacks, (at, count) =>
    stacks.user(out, words, at, count, image),
  );
  if (hash !== 0 && !isUnread(words, hash)) writeHash(out, batch, payloadAt(hash));
  if (dataCount > 0) writeData(out, batch, data, end, fragments.data, dataCount);
  if (credChange !== 0) {
    // the record of credentials that could not be read has zeros in their place
    if ((recordFlags(words, at) & RECORD_CRED_FAILED) !== 0) out.bytes(CHANGE_FAILED);
    else writeCredentialChange(out, batch, credChange, credentialChange);
  }
  writeSystemCall(out, words, at);
  out.bytes(fragments.end);
}

/** Upstream has no empty stack: a list without entries has no place in its JSON. */
function writeStack(
  out: ByteWriter,
  name: Uint8Array,
  words: Uint32Array,
  slot: number,
  stacks: StackWriter,
  writeFrames: (at: number, count: number) => void,
): void {
  const count = frameCount(words, slot);
  const error = stackError(words, slot);
  if (count === 0 && error === 0) return;
  out.bytes(name);
  if (error !== 0) stacks.unread(out, error);
  else writeFrames(payloadAt(slot), count);
}
