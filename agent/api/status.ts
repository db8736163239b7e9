/** Errors of remote calls. */
import { status } from "@grpc/grpc-js";

/** Thrown by what answers a call: the client gets code and message. */
export class CallError extends Error {
  override readonly name = "CallError";
  readonly code: status;

  constructor(code: status, message: string) {
    super(message);
    this.code = code;
  }
}

/** The longest message that fits into a header, whatever the client's limit on those is. */
const MAX_MESSAGE = 4_000;

/** Code and message of anything that was thrown; a message that is too long is cut. */
export function errorStatus(error: unknown): { code: status; details: string } {
  const code = error instanceof CallError ? error.code : status.INTERNAL;
  const text = error instanceof Error ? error.message : String(error);
  return { code, details: text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE)}...` : text };
}
