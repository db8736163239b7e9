/**
 * Names of user ids, as the file /etc/passwd of the process's own root directory has them. A name is shown only where it is
 * certain: the process is alive, and the ids of its user namespace are those of the host.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import type { Image } from "./image.ts";

/** What names are found with. */
export interface UsernamesOptions {
  procfs: string;
  /** Inode of the host's user namespace. */
  hostUserNamespace: number;
  /** Whether the pid still runs this image. */
  isCurrent(image: Image): boolean;
  nowMs(): number;
}

/** A file is read again after this long, if it has changed. */
const RECHECK_MS = 10_000;
/** Of the most recently used root directories. */
const MAX_FILES = 256;
/** Larger files are no list of users. */
const MAX_BYTES = 1 << 20;
/** Opens a directory without reading it; the flag is not among Node's constants. */
const O_PATH = 0o10_000_000;

interface PasswordFile {
  names: ReadonlyMap<number, string>;
  /** Identity of the file's content. */
  version: string;
  checkedMs: number;
}

/** Looks each image up once, and once more when its uid has changed. */
export class Usernames {
  readonly #options: UsernamesOptions;
  readonly #known = new WeakMap<Image, { uid: number; name: string | undefined }>();
  /** By device and inode of the root directory, the least recently used one first. */
  readonly #files = new Map<string, PasswordFile>();

  constructor(options: UsernamesOptions) {
    this.#options = options;
  }

  /** The name of the uid that events show of the image; undefined if it is not certain. */
  of(image: Image): string | undefined {
    const { uid } = image.facts;
    if (uid === undefined) return undefined;
    const known = this.#known.get(image);
    if (known?.uid === uid) return known.name;
    const name = this.#find(image, uid);
    this.#known.set(image, { uid, name });
    return name;
  }

  #find(image: Image, uid: number): string | undefined {
    const { hostUserNamespace, isCurrent, procfs } = this.#options;
    const { namespaces } = image.facts;
    // a container with ids of its own has other names for what the kernel knows under these
    if (hostUserNamespace === 0 || namespaces?.user !== hostUserNamespace) return undefined;
    const root = `${procfs}/${image.pid}/root`;
    try {
      const { dev, ino } = statSync(root);
      const file = this.#file(`${dev}:${ino}`, root);
      return isCurrent(image) ? file?.names.get(uid) : undefined;
    } catch {
      return undefined; // it has ended
    }
  }

  #file(key: string, root: string): PasswordFile | undefined {
    const nowMs = this.#options.nowMs();
    const known = this.#files.get(key);
    this.#files.delete(key);
    const file = known && nowMs - known.checkedMs < RECHECK_MS ? known : this.#read(root, known, nowMs);
    if (file) this.#files.set(key, file);
    if (this.#files.size > MAX_FILES) this.#files.delete(this.#files.keys().next().value as string);
    return file;
  }

  #read(root: string, known: PasswordFile | undefined, nowMs: number): PasswordFile | undefined {
    return withPasswordFile(root, (fd) => {
      const { dev, ino, size, mtimeMs, ctimeMs } = fstatSync(fd);
      const version = [dev, ino, size, mtimeMs, ctimeMs].join();
      if (known?.version === version) return { ...known, checkedMs: nowMs };
      const bytes = Buffer.alloc(size);
      const read = readSync(fd, bytes, 0, size, 0);
      return { names: parseNames(bytes.toString("utf8", 0, read)), version, checkedMs: nowMs };
    });
  }
}

/**
 * Whoever owns the container owns the file: a symbolic link would lead into the agent's own files, a pipe would block it.
 * Undefined unless both etc and passwd are what they should be.
 */
function withPasswordFile<T>(root: string, read: (fd: number) => T): T | undefined {
  const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
  const etc = openSync(`${root}/etc`, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  try {
    const file = openSync(`/proc/self/fd/${etc}/passwd`, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const stats = fstatSync(file);
      return stats.isFile() && stats.size <= MAX_BYTES ? read(file) : undefined;
    } finally {
      closeSync(file);
    }
  } finally {
    closeSync(etc);
  }
}

const LINE = /^([^:\s][^:]{0,255}):[^:]*:(\d{1,10}):/;

/** The first name of each uid, as getpwuid(3) returns it. */
export function parseNames(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split("\n")) {
    const [, name, digits] = LINE.exec(line) ?? [];
    const uid = Number(digits);
    if (name !== undefined && !names.has(uid)) names.set(uid, name);
  }
  return names;
}
