/** Which file an address of a process is mapped from, while the process exists. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Image } from "../process/image.ts";
import type { CodePlace, UserCode } from "./code-place.ts";

/** An executable mapping of a file, or of the kernel's `[vdso]`. */
interface Mapping {
  start: number;
  end: number;
  /** Where in the file it begins. */
  offset: number;
  path: string;
}

interface Mappings {
  list: readonly Mapping[];
  readAtMs: number;
}

/** What mapped code is looked up with. */
export interface MappedCodeOptions {
  procfs: string;
  /** Whether the pid still runs this image, as far as is known. */
  isCurrent(image: Image): boolean;
  nowMs(): number;
}

/** A process that maps code while it runs is read again, this often at most. */
const REREAD_MS = 1_000;
/** Short-lived processes must not cost a file each without end. */
const READS_PER_SECOND = 200;

/** Mappings by image, read at its first stack; an exec whose record has not been read yet can make them another image's. */
export class MappedCode implements UserCode {
  readonly #options: MappedCodeOptions;
  readonly #mappings = new WeakMap<Image, Mappings>();
  #second = 0;
  #readsLeft = READS_PER_SECOND;

  constructor(options: MappedCodeOptions) {
    this.#options = options;
  }

  /** The file that an address, given as two 32-bit words, comes from; undefined when the process is gone or nothing is there. */
  find(image: Image, low: number, high: number): CodePlace | undefined {
    const address = high * 2 ** 32 + low;
    if (!Number.isSafeInteger(address)) return undefined;
    const known = this.#mappings.get(image);
    const place = known && findPlace(known.list, address);
    const nowMs = this.#options.nowMs();
    if (place !== undefined || (known !== undefined && nowMs < known.readAtMs + REREAD_MS)) return place;
    const list = this.#read(image, nowMs);
    // an ended process's are kept as they were last seen
    this.#mappings.set(image, { list: list ?? known?.list ?? [], readAtMs: nowMs });
    return list && findPlace(list, address);
  }

  #read(image: Image, nowMs: number): Mapping[] | undefined {
    if (!this.#mayRead(nowMs) || !this.#options.isCurrent(image)) return undefined;
    try {
      return parseMappings(readFileSync(join(this.#options.procfs, String(image.pid), "maps"), "utf8"));
    } catch {
      return undefined; // gone, or not readable
    }
  }

  #mayRead(nowMs: number): boolean {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) this.#readsLeft = READS_PER_SECOND;
    this.#second = second;
    return this.#readsLeft-- > 0;
  }
}

function findPlace(list: readonly Mapping[], address: number): CodePlace | undefined {
  const found = list.find(({ start, end }) => start <= address && address < end);
  return found && { offset: address - found.start + found.offset, module: found.path };
}

/** Lines are `START-END rwxp OFFSET DEVICE INODE   PATH`, numbers in hexadecimal. */
export function parseMappings(text: string): Mapping[] {
  const pattern = /^([0-9a-f]+)-([0-9a-f]+) ..x. ([0-9a-f]+) \S+ \d+ +(\S.*)$/gm;
  return [...text.matchAll(pattern)].map(([, start = "", end = "", offset = "", path = ""]) => ({
    start: Number.parseInt(start, 16),
    end: Number.parseInt(end, 16),
    offset: Number.parseInt(offset, 16),
    path,
  }));
}
