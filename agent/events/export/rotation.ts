/** Rotation of the export file: when it is due, and what becomes of the backups beside the file. */
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, parse } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

/** When a file is rotated and what is kept of it. */
export interface Rotation {
  /** The file does not grow beyond this; 0: without bound. */
  maxBytes: number;
  /** The first event after this age goes into a new file; 0: the age does not matter. */
  intervalMs: number;
  /** 0: all are kept. */
  maxBackups: number;
  compress: boolean;
}

/** What a rotator needs beside the rotation. */
export interface RotatorOptions {
  /** Mode of compressed backups. */
  mode: number;
  now: () => number;
  /** A step has failed: the file goes on growing, or its backups are not thinned out or compressed. */
  onError: (error: Error) => void;
}

/** As lumberjack writes it: `2026-11-28T21-30-00.123`, in UTC. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}$/;

/** Where the content of a file goes that is rotated at this time: `events-TIME.log` for `events.log`. */
export function backupPath(path: string, ms: number): string {
  const { dir, name, ext } = parse(path);
  return join(dir, `${name}-${new Date(ms).toISOString().slice(0, 23).replaceAll(":", "-")}${ext}`);
}

/** Those of the names that are backups of the file, newest first, compressed or not. */
export function backupsOf(path: string, names: readonly string[]): string[] {
  const { name, ext } = parse(path);
  const isBackup = (one: string) => {
    const plain = one.endsWith(".gz") ? one.slice(0, -3) : one;
    const time = plain.slice(name.length + 1, plain.length - ext.length);
    return plain === `${name}-${time}${ext}` && TIME.test(time);
  };
  return names.filter(isBackup).sort().reverse();
}

/** Renames the file, removes surplus backups and compresses the others. Never throws. */
export class Rotator {
  readonly #path: string;
  readonly #rotation: Rotation;
  readonly #options: RotatorOptions;
  #tidying: Promise<void> = Promise.resolve();
  #isTidying = false;
  /** There is a new backup since the directory was read. */
  #isUntidy = false;

  constructor(path: string, rotation: Rotation, options: RotatorOptions) {
    this.#path = path;
    this.#rotation = rotation;
    this.#options = options;
  }

  /** Whether the file must be rotated before so many bytes are appended. An empty file never is. */
  isDue(file: { size: number; bornMs: number }, incoming: number): boolean {
    const { maxBytes, intervalMs } = this.#rotation;
    if (file.size === 0) return false;
    if (maxBytes > 0 && file.size + incoming > maxBytes) return true;
    return intervalMs > 0 && this.#options.now() - file.bornMs >= intervalMs;
  }

  /** False: the file could not be renamed. Backups are tidied up in the background. */
  async rotate(): Promise<boolean> {
    try {
      await rename(this.#path, this.#freeBackupPath());
    } catch (error) {
      this.#options.onError(error as Error);
      return false;
    }
    this.#isUntidy = true;
    if (!this.#isTidying) this.#tidying = this.#tidy();
    return true;
  }

  /** Resolves when the background work is done. */
  settled(): Promise<void> {
    return this.#tidying;
  }

  /** Two rotations in one millisecond, or a clock that was set back, must not overwrite a backup. */
  #freeBackupPath(): string {
    for (let ms = this.#options.now(); ; ms++) {
      const path = backupPath(this.#path, ms);
      if (!existsSync(path) && !existsSync(`${path}.gz`)) return path;
    }
  }

  /** The file may be rotated again while a backup is compressed. */
  async #tidy(): Promise<void> {
    this.#isTidying = true;
    try {
      while (this.#isUntidy) await this.#tidyOnce();
    } catch (error) {
      this.#options.onError(error as Error);
    }
    this.#isTidying = false;
  }

  async #tidyOnce(): Promise<void> {
    this.#isUntidy = false;
    await this.#removeSurplus();
    if (this.#rotation.compress && (await this.#compressOne())) this.#isUntidy = true;
  }

  async #removeSurplus(): Promise<void> {
    const { maxBackups } = this.#rotation;
    const surplus = maxBackups === 0 ? [] : (await this.#backups()).slice(maxBackups);
    await Promise.all(surplus.map((path) => rm(path, { force: true })));
  }

  /** False: every backup is compressed. */
  async #compressOne(): Promise<boolean> {
    const plain = (await this.#backups()).find((path) => !path.endsWith(".gz"));
    if (plain === undefined) return false;
    await compress(plain, this.#options.mode);
    return true;
  }

  async #backups(): Promise<string[]> {
    const directory = dirname(this.#path);
    return backupsOf(basename(this.#path), await readdir(directory)).map((name) => join(directory, name));
  }
}

/** The plain file goes when the compressed one is complete. */
async function compress(path: string, mode: number): Promise<void> {
  const partial = `${path}.gz.partial`;
  try {
    await pipeline(createReadStream(path), createGzip(), createWriteStream(partial, { mode }));
    await rename(partial, `${path}.gz`);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  await rm(path, { force: true });
}
