/** The system call that the task of an event was in: the message SystemCall of trigon.proto. */
import { SystemCalls } from "../system-call.ts";
import { encodeFields, type MessageTable } from "./messages.ts";
import { bytesKey, type ProtoWriter, varintKey } from "./writer.ts";

const SYSTEM_CALL: MessageTable = {
  fields: { id: [1, "uint32"], name: [2, "string"], abi: [3, "string"] },
};
const CALL_KEY = bytesKey(20_005);
const IN_EXEC_KEY = varintKey(20_006);
const calls = new SystemCalls((call) => encodeFields(SYSTEM_CALL, call));

/** The fields `system_call` and `in_exec`, where the record has them. */
export function writeSystemCall(out: ProtoWriter, words: Uint32Array, at: number): void {
  const call = calls.bytes(words, at);
  if (call !== undefined) out.bytesField(CALL_KEY, call);
  if (!calls.isInExec(words, at)) return;
  out.varint(IN_EXEC_KEY);
  out.varint(1);
}
