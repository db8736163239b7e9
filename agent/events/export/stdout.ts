/** Events to standard output. */
import { write as fsWrite } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { WriteQueue, type WriteQueueOptions, type WriteTarget } from "./write-queue.ts";

const writeFd = promisify(fsWrite);
const STDOUT = 1;
/** A pipe whose reader is slow and which somebody has made non-blocking. */
const RETRY_MS = 5;

/** A sink that writes to a file descriptor, standard output unless told otherwise, and leaves it open. */
export class StdoutSink extends WriteQueue {
  constructor(options: WriteQueueOptions & { fd?: number }) {
    super(new FdTarget(options.fd ?? STDOUT), options);
  }
}

/** Not process.stdout, which buffers without a bound. */
class FdTarget implements WriteTarget {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async write(bytes: Uint8Array): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      try {
        const { bytesWritten } = await writeFd(this.#fd, bytes, written, bytes.length - written);
        written += bytesWritten;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
        await delay(RETRY_MS);
      }
    }
  }

  async close(): Promise<void> {}
}
