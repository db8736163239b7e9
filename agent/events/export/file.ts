/** Events to a file. */
import { closeSync, constants, fchmodSync, fstatSync, ftruncateSync, openSync, readSync } from "node:fs";
import { stat } from "node:fs/promises";
import { errorText } from "../../../lib/logger.ts";
import { type Rotation, Rotator } from "./rotation.ts";
import { afterCut, isCut, writeAll } from "./write-all.ts";
import { WriteQueue, type WriteQueueOptions, type WriteTarget } from "./write-queue.ts";

/** Only the owner may read who did what with which arguments. */
const MODE = 0o600;
/** A pipe must not block: open() would wait for a reader, and a blocked write would keep the process from ending. */
const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NONBLOCK;
/** How often it is looked whether the path still leads to the open file; that nothing does is seen at each write. */
const CHECK_MS = 1_000;
const ROTATION_RETRY_MS = 10_000;

/** How a file is kept, beside what every queue needs. */
export interface FileSinkOptions extends WriteQueueOptions {
  /** Of files that are made. Default: readable by their owner only. */
  mode?: number;
  /** Absent: the file grows without bound. */
  rotation?: Rotation;
}

/**
 * A sink that appends to a file. It rotates the file, follows one that is removed or renamed, and reopens it on demand.
 */
export class FileSink extends WriteQueue {
  readonly #target: FileTarget;
  readonly #rotation: Rotation | undefined;

  /** Throws when the file cannot be opened for appending. */
  constructor(path: string, options: FileSinkOptions) {
    const { now, mode = MODE } = options;
    const rotation = options.rotation && { ...options.rotation };
    let say = options.say;
    const onError = (error: Error) => {
      this.stats.rotationErrors++;
      say?.(`rotation of ${path} failed: ${errorText(error)}`);
      say = undefined; // with a directory that is read-only it fails again and again
    };
    const rotator = rotation && new Rotator(path, rotation, { mode, now, onError });
    const target = new FileTarget(path, { now, mode, rotator });
    super(target, { ...options, ...(rotation?.maxBytes && { maxWriteBytes: rotation.maxBytes }) });
    this.#target = target;
    this.#rotation = rotation;
  }

  /** When the file is rotated; undefined: never. */
  get rotation(): Readonly<Rotation> | undefined {
    return this.#rotation;
  }

  /** Holds from the next write on; without effect on a file that is not rotated. */
  changeRotation(change: Partial<Rotation>): void {
    if (this.#rotation) Object.assign(this.#rotation, change);
  }

  /** Opens the path again before the next write: what a log rotator asks for. */
  reopen(): void {
    this.#target.reopen();
  }
}

interface OpenFile {
  fd: number;
  inode: number;
  /** Not a pipe or a device. */
  isRegular: boolean;
  bornMs: number;
  /** The last line in it is cut. */
  needsNewline: boolean;
}

interface TargetOptions {
  now: () => number;
  mode: number;
  rotator: Rotator | undefined;
}

class FileTarget implements WriteTarget {
  readonly #path: string;
  readonly #options: TargetOptions;
  #file: OpenFile | undefined;
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  #rotationFailedAtMs = Number.NEGATIVE_INFINITY;
  #reopen = false;

  constructor(path: string, options: TargetOptions) {
    this.#path = path;
    this.#options = options;
    this.#file = openFile(path, options);
  }

  reopen(): void {
    this.#reopen = true;
  }

  async write(lines: readonly Uint8Array[], bytes: number): Promise<void> {
    const file = await this.#current(bytes);
    const parts = file.needsNewline ? afterCut(lines) : lines;
    const written = await writeAll(file.fd, parts);
    if (written.error === undefined) file.needsNewline = false;
    else if (written.bytes > 0 && !tookBack(file.fd, written.bytes))
      file.needsNewline = isCut(parts, written.bytes);
    if (written.error) throw written.error;
  }

  async close(): Promise<void> {
    this.#closeFile();
    await this.#options.rotator?.settled();
  }

  #closeFile(): void {
    if (this.#file !== undefined) closeSync(this.#file.fd);
    this.#file = undefined;
  }

  async #current(incoming: number): Promise<OpenFile> {
    if (this.#file && (await this.#mustLeave(this.#file, incoming))) this.#closeFile();
    this.#reopen = false;
    this.#file ??= openFile(this.#path, this.#options);
    return this.#file;
  }

  async #mustLeave(file: OpenFile, incoming: number): Promise<boolean> {
    if (this.#reopen) return true;
    const { nlink, size } = fstatSync(file.fd);
    return nlink === 0 || (await this.#isElsewhere(file)) || (await this.#isRotated(file, size, incoming));
  }

  async #isElsewhere({ inode }: OpenFile): Promise<boolean> {
    // also after a step of the clock, back or ahead
    if (Math.abs(this.#options.now() - this.#checkedAtMs) < CHECK_MS) return false;
    this.#checkedAtMs = this.#options.now();
    return !(await this.#isAtPath(inode));
  }

  /** A rotation that fails is tried again after a while: events go into the old file until then. */
  async #isRotated({ inode, isRegular, bornMs }: OpenFile, size: number, incoming: number): Promise<boolean> {
    const { rotator, now } = this.#options;
    if (!rotator || !isRegular || Math.abs(now() - this.#rotationFailedAtMs) < ROTATION_RETRY_MS)
      return false;
    if (!rotator.isDue({ size, bornMs }, incoming)) return false;
    if (!(await this.#isAtPath(inode)) || (await rotator.rotate())) return true;
    this.#rotationFailedAtMs = now();
    return false;
  }

  async #isAtPath(inode: number): Promise<boolean> {
    const there = await stat(this.#path).catch(() => undefined);
    return there?.ino === inode;
  }
}

/** Throws when the path cannot be opened for appending. */
function openFile(path: string, { mode, now }: TargetOptions): OpenFile {
  let fd: number | undefined;
  try {
    fd = openSync(path, FLAGS, mode);
    const found = fstatSync(fd);
    const isRegular = found.isFile();
    if (isRegular && found.size === 0) fchmodSync(fd, mode); // the process's umask has a say in open()
    return {
      fd,
      inode: found.ino,
      isRegular,
      bornMs: found.size > 0 && found.birthtimeMs > 0 ? found.birthtimeMs : now(),
      needsNewline: found.size > 0 && !endsWithNewline(path, found.size),
    };
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
