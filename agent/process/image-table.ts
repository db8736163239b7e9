/** Images by pid, bounded: ended ones go after a grace time, gone ones when /proc has lost them, the rest at the cap. */
import type { Image } from "./image.ts";

/** What the table needs. */
export interface ImageTableOptions {
  capacity: number;
  /** How long an image outlives its end, for records that come late. */
  graceMs: number;
  /** Whether the image's process still exists. */
  isAlive(image: Image): boolean;
  /** Called for an image whose process was gone without an exit record. */
  onLostExit?(image: Image): void;
}

/** Images whose process is looked at per sweep: a node with thousands of processes is read in slices. */
const CHECKS_PER_SWEEP = 64;
/** An image counts as gone at its second check. The round that runs when records are lost may be past it already. */
const ROUNDS = 3;

/** Holds at most one image per pid; superseded and ended ones live on in their children only. */
export class ImageTable {
  readonly #options: ImageTableOptions;
  readonly #images = new Map<number, Image>();
  /** Ended images in order of their end. */
  #ending: { image: Image; dropAtMs: number }[] = [];
  #nowMs: number;
  /** Images of a round of checks that is not at its end yet. */
  #unchecked: Iterator<Image> | undefined;
  #roundsLeft = ROUNDS;
  /** Images that were gone at their last check. */
  #missing = new Set<Image>();
  /** Images dropped at the cap. */
  evictions = 0;
  /** Images whose process was gone without an exit record. */
  lostExits = 0;

  constructor(options: ImageTableOptions, nowMs: number) {
    this.#options = options;
    this.#nowMs = nowMs;
  }

  get size(): number {
    return this.#images.size;
  }

  values(): IterableIterator<Image> {
    return this.#images.values();
  }

  get(pid: number): Image | undefined {
    return this.#images.get(pid);
  }

  /** Makes the image the current one of its pid and ends the one before. */
  put(image: Image): Image {
    const before = this.#images.get(image.pid);
    if (before !== undefined) this.end(before);
    else if (this.#images.size >= this.#options.capacity) this.#evict();
    this.#images.set(image.pid, image);
    return image;
  }

  /** The image is over; it stays for late records. */
  end(image: Image): void {
    if (image.ended) return;
    image.ended = true;
    this.#ending.push({ image, dropAtMs: this.#nowMs + this.#options.graceMs });
  }

  /** It is so late now: images that end from here on are kept for the grace time from here. */
  advance(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  /** Exit records may be lost: the next sweeps look in /proc for every image. */
  checkAll(): void {
    this.#roundsLeft = ROUNDS;
  }

  /** To be called about once a second until it returns false: nothing is left to be dropped or checked. */
  sweep(nowMs: number): boolean {
    this.#nowMs = nowMs;
    const kept = this.#ending.findIndex(({ dropAtMs }) => dropAtMs > nowMs);
    const due = kept < 0 ? this.#ending : this.#ending.slice(0, kept);
    this.#ending = kept < 0 ? [] : this.#ending.slice(kept);
    for (const { image } of due) this.#drop(image);
    this.#checkSome();
    return this.#ending.length > 0 || this.#roundsLeft > 0;
  }

  #drop(image: Image): void {
    if (this.#images.get(image.pid) === image) this.#images.delete(image.pid);
    image.drop();
  }

  #checkSome(): void {
    if (this.#roundsLeft === 0) return;
    this.#unchecked ??= this.#images.values();
    for (let i = 0; i < CHECKS_PER_SWEEP; i++) {
      const next = this.#unchecked.next();
      if (next.done === true) {
        this.#unchecked = undefined;
        this.#roundsLeft--;
        return;
      }
      this.#check(next.value);
    }
  }

  /** Gone at two checks in a row: at the first one its exit record may have been on the way. */
  #check(image: Image): void {
    if (image.ended || this.#options.isAlive(image)) this.#missing.delete(image);
    else if (!this.#missing.delete(image)) this.#missing.add(image);
    else {
      this.lostExits++;
      this.end(image);
      this.#options.onLostExit?.(image);
    }
  }

  /** Ended images are dropped first, then the oldest one: /proc can describe it again. */
  #evict(): void {
    this.evictions++;
    for (;;) {
      const ended = this.#ending.shift()?.image;
      if (ended === undefined) break;
      const current = this.#images.get(ended.pid) === ended;
      this.#drop(ended);
      if (current) return;
    }
    const [oldest] = this.#images.values();
    if (oldest !== undefined) this.#drop(oldest);
  }
}
