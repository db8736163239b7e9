/** Events to standard output. */
import { afterCut, isCut, writeAll } from "./write-all.ts";
import { WriteQueue, type WriteQueueOptions, type WriteTarget } from "./write-queue.ts";

const STDOUT = 1;

/** A sink that writes to a file descriptor, standard output by default, and leaves it open. */
export class StdoutSink extends WriteQueue {
  constructor(options: WriteQueueOptions & { fd?: number }) {
    super(new FdTarget(options.fd ?? STDOUT), options);
  }
}

/** Not process.stdout, which buffers without a bound. */
class FdTarget implements WriteTarget {
  readonly #fd: number;
  /** What was written cannot be taken back: the descriptor is not ours alone. */
  #needsNewline = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async write(lines: readonly Uint8Array[]): Promise<void> {
    const parts = this.#needsNewline ? afterCut(lines) : lines;
    const written = await writeAll(this.#fd, parts);
    if (written.bytes > 0) this.#needsNewline = isCut(parts, written.bytes);
    if (written.error) throw written.error;
  }

  async close(): Promise<void> {}
}
