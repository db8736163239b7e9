/** Images by pid, bounded: ended ones go after a grace time, gone ones when /proc has lost them, the rest at the cap. */
import type { Image } from "./image.ts";

/** What the table needs. */
export interface ImageTableOptions {
  capacity: number;
  /** How long an image outlives its end, for records that come late. */
  graceMs: number;
  /** Whether the image's process still exists. */
  isAlive(image: Image): boolean;
}

/** Images whose process is looked at per sweep, so that a lost exit record costs memory for minutes only. */
const CHECKS_PER_SWEEP = 64;

/** Holds at most one image per pid; superseded and ended ones live on in their children only. */
export class ImageTable {
  readonly #options: ImageTableOptions;
  readonly #images = new Map<number, Image>();
  /** Ended images in order of their end. */
  #ending: { image: Image; dropAtMs: number }[] = [];
  #nowMs: number;
  #unchecked: Iterator<Image> | undefined;
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

  /** To be called about once a second. */
  sweep(nowMs: number): void {
    this.#nowMs = nowMs;
    const kept = this.#ending.findIndex(({ dropAtMs }) => dropAtMs > nowMs);
    const due = kept < 0 ? this.#ending : this.#ending.slice(0, kept);
    this.#ending = kept < 0 ? [] : this.#ending.slice(kept);
    for (const { image } of due) this.#drop(image);
    this.#checkSome();
  }

  #drop(image: Image): void {
    if (this.#images.get(image.pid) === image) this.#images.delete(image.pid);
    image.drop();
  }

  #checkSome(): void {
    this.#unchecked ??= this.#images.values();
    for (let i = 0; i < CHECKS_PER_SWEEP; i++) {
      const next = this.#unchecked.next();
      if (next.done === true) {
        this.#unchecked = undefined;
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
