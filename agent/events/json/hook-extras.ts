/** Events of records that carry more than arguments: data, a return value, stacks, changed credentials. */
import {
  frameCount,
  isUnread,
  locateParts,
  payloadAt,
  recordAction,
  recordFlags,
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
  // upstream has no empty stack: a list without entries has no place in its JSON
  const kernelFrames = frameCount(words, kernelStack);
  if (kernelFrames > 0) {
    out.bytes(KERNEL_STACK);
    stacks.kernel(out, words, payloadAt(kernelStack), kernelFrames);
  }
  out.bytes(fragments.afterKernelStack);
  const userFrames = frameCount(words, userStack);
  if (userFrames > 0) {
    out.bytes(USER_STACK);
    stacks.user(out, words, payloadAt(userStack), userFrames, image);
  }
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
