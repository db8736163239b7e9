/** Writing lines to descriptors whose other end may be slow, full or gone. */
import { write as fsWrite } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const writeFd = promisify(fsWrite);
const NEWLINE = Buffer.from("\n");
/** A pipe has no room: how long until the next try, at first and at most. */
const RETRY_MS = { first: 1, last: 64 } as const;

/** What became of a write: `error` is what ended it before its last byte. */
export interface Written {
  bytes: number;
  error?: Error;
}

/** Writes until all is written or the descriptor refuses; waits where a descriptor that does not block is full. */
export async function writeAll(fd: number, bytes: Uint8Array): Promise<Written> {
  let written = 0;
  let retryMs: number = RETRY_MS.first;
  while (written < bytes.length) {
    try {
      const { bytesWritten } = await writeFd(fd, bytes, written, bytes.length - written);
      written += bytesWritten;
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

/** Whether so much of these lines ends within one of them. */
export function isCut(lines: Uint8Array, written: number): boolean {
  return written > 0 && lines[written - 1] !== NEWLINE[0];
}

/** The lines, set off from one before them that is cut. */
export function afterCut(lines: Uint8Array): Uint8Array {
  return Buffer.concat([NEWLINE, lines]);
}
