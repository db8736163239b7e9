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
/** The same as it is sent: characters beyond ASCII take up to twelve bytes. */
const MAX_ENCODED = 8_000;

/** Code and message of anything that was thrown; a message that is too long is cut. */
export function errorStatus(error: unknown): { code: status; details: string } {
  const code = error instanceof CallError ? error.code : status.INTERNAL;
  return { code, details: bounded(error instanceof Error ? error.message : String(error)) };
}

/** Well-formed: half of a character, left by a cut or sent by a client, would make grpc-js throw where nothing catches it. */
function bounded(text: string): string {
  const cut = text.slice(0, MAX_MESSAGE).toWellFormed();
  const size = encodeURI(cut).length;
  if (text.length <= MAX_MESSAGE && size <= MAX_ENCODED) return cut;
  const fits = Math.floor(cut.length * Math.min(1, MAX_ENCODED / size));
  return `${cut.slice(0, fits).toWellFormed()}...`;
}
