/** Writing lines to descriptors whose other end may be slow, full or gone. */
import { write as fsWrite, writev as fsWritev } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const writeOne = promisify(fsWrite);
const writeSome = promisify(fsWritev);
const NEWLINE = Buffer.from("\n");
/** A pipe has no room: how long until the next try, at first and at most. */
const RETRY_MS = { first: 1, last: 64 } as const;

/** What became of a write: `error` is what ended it before its last byte. */
export interface Written {
  bytes: number;
  error?: Error;
}

/** Writes until all is written or the descriptor refuses; waits where a descriptor that does not block is full. */
export async function writeAll(fd: number, parts: readonly Uint8Array[]): Promise<Written> {
  let rest = parts;
  let written = 0;
  let retryMs: number = RETRY_MS.first;
  while (rest.length > 0) {
    try {
      const bytes = await writeParts(fd, rest);
      written += bytes;
      rest = after(rest, bytes);
      retryMs = RETRY_MS.first;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN")
        return { bytes: written, error: error as Error };
      await delay(retryMs);
      retryMs = Math.min(retryMs * 2, RETRY_MS.last);
    }
  }
  return { bytes: written };
}

async function writeParts(fd: number, parts: readonly Uint8Array[]): Promise<number> {
  const [only] = parts;
  const { bytesWritten } = parts.length === 1 && only ? await writeOne(fd, only) : await writeSome(fd, parts);
  return bytesWritten;
}

/** What is left when so many bytes have gone. */
function after(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let gone = bytes;
  const rest: Uint8Array[] = [];
  for (const part of parts) {
    if (gone < part.length) rest.push(part.subarray(gone));
    gone = Math.max(0, gone - part.length);
  }
  return rest;
}

/** Whether so much of these lines ends within one of them. */
export function isCut(parts: readonly Uint8Array[], written: number): boolean {
  const next = written === 0 ? undefined : after(parts, written - 1)[0];
  return next !== undefined && next[0] !== NEWLINE[0];
}

/** The lines, set off from one before them that is cut. */
export function afterCut(parts: readonly Uint8Array[]): Uint8Array[] {
  return [NEWLINE, ...parts];
}
