/** Gives memory back after work that will not come back soon: the start, an edit, a burst of events. */

/** What the memory is asked for, and where it goes. */
export interface SpareMemoryDeps {
  /** Resident bytes of this process. */
  residentBytes(): number;
  /** Gives back whatever is not needed at rest. */
  release(): void;
  /** Gives back what is cheap to get again, in another thread: work goes on. Never rejects. */
  trim?(): Promise<void>;
}

/** Longer than the pauses of a node where something happens. */
const QUIET_MS = 5_000;
/** Pages that are used at rest come back by themselves: less growth than this may be nothing else. */
const WORTH_BYTES = 24 << 20;
/** The same while work goes on: what it needs has come back by then. */
const WORTH_TRIMMING_BYTES = 16 << 20;

/** Trims from time to time while something happens, and releases once nothing does. Then it has no timer. */
export class SpareMemory {
  readonly #deps: SpareMemoryDeps;
  #timer: NodeJS.Timeout | undefined;
  #isBusy = false;
  #restBytes = 0;
  /** After the last release or trim. */
  #lowBytes = 0;
  /** Since the last release. */
  #wasTrimmed = false;

  constructor(deps: SpareMemoryDeps) {
    this.#deps = deps;
  }

  /** Something happens; cheap enough for every batch of events. */
  touch(): void {
    this.#isBusy = true;
    this.#timer ??= setTimeout(() => this.#look(), QUIET_MS).unref();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#isBusy) {
      this.#isBusy = false;
      this.#timer = setTimeout(() => this.#look(), QUIET_MS).unref();
      void this.#trim();
    } else {
      this.#release();
    }
  }

  #release(): void {
    if (!this.#wasTrimmed && this.#deps.residentBytes() < this.#restBytes + WORTH_BYTES) return;
    this.#deps.release();
    this.#wasTrimmed = false;
    this.#restBytes = this.#deps.residentBytes();
    this.#lowBytes = this.#restBytes;
  }

  async #trim(): Promise<void> {
    const { residentBytes, trim } = this.#deps;
    if (!trim || residentBytes() < this.#lowBytes + WORTH_TRIMMING_BYTES) return;
    this.#wasTrimmed = true;
    await trim();
    this.#lowBytes = this.#deps.residentBytes();
  }
}
