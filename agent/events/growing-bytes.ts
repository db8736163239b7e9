/** A buffer that grows: what the writers of all formats stand on. */

/** Below this a loop is faster than TypedArray.set(). */
const LOOP_COPY_BYTES = 24;

/** Bytes are appended and taken out as a whole; the memory is used again. */
export class GrowingBytes {
  /** Has room for what reserve() was asked for; beyond `length` it has old content. */
  protected buffer: Uint8Array;
  length = 0;

  constructor(initialBytes: number) {
    this.buffer = new Uint8Array(initialBytes);
  }

  /** A copy of what was written, which the caller owns; the writer is empty afterwards. */
  take(): Uint8Array {
    const copy = this.buffer.slice(0, this.length);
    this.length = 0;
    return copy;
  }

  /** What was written, until the next write. */
  view(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  bytes(fragment: Uint8Array): void {
    const size = fragment.length;
    this.reserve(size);
    const at = this.length;
    if (size <= LOOP_COPY_BYTES) {
      const target = this.buffer;
      for (let i = 0; i < size; i++) target[at + i] = fragment[i] as number;
    } else {
      this.buffer.set(fragment, at);
    }
    this.length = at + size;
  }

  byte(value: number): void {
    this.reserve(1);
    this.buffer[this.length++] = value;
  }

  /** Makes room for so many bytes more. */
  protected reserve(size: number): void {
    if (this.length + size <= this.buffer.length) return;
    const grown = new Uint8Array(Math.max(this.buffer.length * 2, this.length + size));
    grown.set(this.buffer.subarray(0, this.length));
    this.buffer = grown;
  }
}
