/** Where a command writes to and reads from. */
import { once } from "node:events";
import { fstatSync } from "node:fs";
import type { Readable } from "node:stream";

/** Lines out, standard input in. */
export interface Streams {
  /** One line of the answer. */
  out(line: string): void;
  /** One line about the command itself. */
  err(line: string): void;
  /** All of the standard input. */
  stdin(): Promise<string | Uint8Array>;
}

/** Streams of a command that reads and writes as it goes. */
export interface LiveStreams extends Streams {
  /** The standard input as it comes. */
  input: Readable;
  /** Whether a person reads the answer. */
  isTerminal: boolean;
  /** Whether the standard input is a pipe or a file. */
  isPiped(): boolean;
  /** Resolves when the reader has room for more. */
  drained(): Promise<void>;
  /** Ends a command that would run on. */
  signal: AbortSignal;
}

/** Exit statuses of every command, also in `--help`. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

/** A mistake in the command line, or a file that cannot be read; the message stands alone. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The streams of this process. */
export function processStreams(signal: AbortSignal): LiveStreams {
  return {
    out: (line) => void process.stdout.write(`${line}\n`),
    err: (line) => void process.stderr.write(`${line}\n`),
    stdin: readStdin,
    input: process.stdin,
    isTerminal: process.stdout.isTTY === true,
    isPiped: () => {
      const input = fstatSync(process.stdin.fd);
      return input.isFIFO() || input.isFile();
    },
    drained: async () => {
      if (process.stdout.writableNeedDrain) await once(process.stdout, "drain");
    },
    signal,
  };
}

async function readStdin(): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
