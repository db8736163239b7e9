/** Events to a file. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { WriteQueue, type WriteQueueOptions, type WriteTarget } from "./write-queue.ts";

/** Only the owner may read who did what with which arguments. */
const MODE = 0o600;
/** How often it is looked whether the path still leads to the open file. */
const CHECK_MS = 1_000;

/** A sink that appends to a file; it follows a file that is removed or renamed, and reopens on demand. */
export class FileSink extends WriteQueue {
  readonly #target: FileTarget;

  /** Throws when the file cannot be opened for appending. */
  constructor(path: string, options: WriteQueueOptions) {
    closeSync(openSync(path, "a", MODE));
    const target = new FileTarget(path, options.now);
    super(target, options);
    this.#target = target;
  }

  /** Opens the path again before the next write: what a log rotator asks for. */
  reopen(): void {
    this.#target.reopen();
  }
}

interface OpenFile {
  handle: FileHandle;
  inode: number;
  /** The last line in it is cut. */
  needsNewline: boolean;
}

class FileTarget implements WriteTarget {
  readonly #path: string;
  readonly #now: () => number;
  #file: OpenFile | undefined;
  #checkAtMs = 0;
  #reopen = false;

  constructor(path: string, now: () => number) {
    this.#path = path;
    this.#now = now;
  }

  reopen(): void {
    this.#reopen = true;
  }

  async write(bytes: Uint8Array): Promise<void> {
    const file = await this.#current();
    if (file.needsNewline) await file.handle.write("\n");
    file.needsNewline = false;
    let written = 0;
    try {
      while (written < bytes.length) {
        const result = await file.handle.write(bytes, written, bytes.length - written);
        written += result.bytesWritten;
      }
    } catch (error) {
      if (written > 0) await this.#takeBack(file, written);
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#file?.handle.close();
    this.#file = undefined;
  }

  /** A line that was cut by a full disk must not run into the next one. */
  async #takeBack(file: OpenFile, written: number): Promise<void> {
    try {
      const { size } = await file.handle.stat();
      await file.handle.truncate(size - written);
    } catch {
      file.needsNewline = true;
    }
  }

  async #current(): Promise<OpenFile> {
    if (this.#file !== undefined && (this.#reopen || (await this.#isGone(this.#file.inode))))
      await this.close();
    this.#reopen = false;
    this.#file ??= await this.#open();
    return this.#file;
  }

  async #isGone(inode: number): Promise<boolean> {
    if (this.#now() < this.#checkAtMs) return false;
    this.#checkAtMs = this.#now() + CHECK_MS;
    const there = await stat(this.#path).catch(() => undefined);
    return there?.ino !== inode;
  }

  async #open(): Promise<OpenFile> {
    const handle = await open(this.#path, "a", MODE);
    const { ino, size } = await handle.stat();
    return { handle, inode: ino, needsNewline: size > 0 && !endsWithNewline(this.#path, size) };
  }
}

/** An earlier run may have died in the middle of a line. */
function endsWithNewline(path: string, size: number): boolean {
  const fd = openSync(path, "r");
  try {
    const last = Buffer.alloc(1);
    if (!fstatSync(fd).isFile()) return true;
    readSync(fd, last, 0, 1, size - 1);
    return last[0] === 0x0a;
  } finally {
    closeSync(fd);
  }
}
