/** The system call that the task of an event was in. */
import { type ByteWriter, utf8 } from "../byte-writer.ts";
import { SystemCalls } from "../system-call.ts";

const IN_EXEC = utf8(',"in_exec":true');
const calls = new SystemCalls((call) => utf8(`,"system_call":${JSON.stringify(call)}`));

/** `,"system_call":{...}`, and `,"in_exec":true` where an exec changes the credentials. */
export function writeSystemCall(out: ByteWriter, words: Uint32Array, at: number): void {
  const call = calls.bytes(words, at);
  if (call !== undefined) out.bytes(call);
  if (calls.isInExec(words, at)) out.bytes(IN_EXEC);
}
