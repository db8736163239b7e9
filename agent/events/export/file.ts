/** Events to a file. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync } from "node:fs";
import { stat } from "node:fs/promises";
import { afterCut, isCut, writeAll } from "./write-all.ts";
import { WriteQueue, type WriteQueueOptions, type WriteTarget } from "./write-queue.ts";

/** Only the owner may read who did what with which arguments. */
const MODE = 0o600;
/** A pipe must not block: open() would wait for a reader, and a blocked write would keep the process from ending. */
const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NONBLOCK;
/** How often it is looked whether the path still leads to the open file; that nothing does is seen at each write. */
const CHECK_MS = 1_000;

/** A sink that appends to a file; it follows a file that is removed or renamed, and reopens on demand. */
export class FileSink extends WriteQueue {
  readonly #target: FileTarget;

  /** Throws when the file cannot be opened for appending. */
  constructor(path: string, options: WriteQueueOptions) {
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
  fd: number;
  inode: number;
  /** The last line in it is cut. */
  needsNewline: boolean;
}

class FileTarget implements WriteTarget {
  readonly #path: string;
  readonly #now: () => number;
  #file: OpenFile | undefined;
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  #reopen = false;

  constructor(path: string, now: () => number) {
    this.#path = path;
    this.#now = now;
    this.#file = openFile(path);
  }

  reopen(): void {
    this.#reopen = true;
  }

  async write(lines: Uint8Array): Promise<void> {
    const file = await this.#current();
    const bytes = file.needsNewline ? afterCut(lines) : lines;
    const written = await writeAll(file.fd, bytes);
    if (written.error === undefined) file.needsNewline = false;
    else if (written.bytes > 0 && !tookBack(file.fd, written.bytes))
      file.needsNewline = isCut(bytes, written.bytes);
    if (written.error) throw written.error;
  }

  async close(): Promise<void> {
    if (this.#file !== undefined) closeSync(this.#file.fd);
    this.#file = undefined;
  }

  async #current(): Promise<OpenFile> {
    if (this.#file !== undefined && (this.#reopen || (await this.#isGone(this.#file)))) await this.close();
    this.#reopen = false;
    this.#file ??= openFile(this.#path);
    return this.#file;
  }

  async #isGone({ fd, inode }: OpenFile): Promise<boolean> {
    if (fstatSync(fd).nlink === 0) return true;
    // also after a step of the clock, back or ahead
    if (Math.abs(this.#now() - this.#checkedAtMs) < CHECK_MS) return false;
    this.#checkedAtMs = this.#now();
    const there = await stat(this.#path).catch(() => undefined);
    return there?.ino !== inode;
  }
}

/** Throws when the path cannot be opened for appending. */
function openFile(path: string): OpenFile {
  let fd: number | undefined;
  try {
    fd = openSync(path, FLAGS, MODE);
    const { ino, size } = fstatSync(fd);
    return { fd, inode: ino, needsNewline: size > 0 && !endsWithNewline(path, size) };
  } catch (cause) {
    if (fd !== undefined) closeSync(fd);
    const noReader = (cause as NodeJS.ErrnoException).code === "ENXIO";
    throw noReader ? new Error(`export to ${path}: no process reads this pipe`, { cause }) : cause;
  }
}

/** A line that was cut by a full disk must not run into the next one. False where it stays, as in a pipe. */
function tookBack(fd: number, written: number): boolean {
  try {
    ftruncateSync(fd, fstatSync(fd).size - written);
    return true;
  } catch {
    return false;
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
