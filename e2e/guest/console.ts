import type { Readable } from "node:stream";

const LIMIT = 256 << 10;

/** Keeps the end of what a guest's kernel writes. */
export class Console {
  #text = "";

  /** Collects a stream, next to others. */
  read(stream: Readable): void {
    stream.setEncoding("utf8").on("data", (text: string) => {
      this.#text = (this.#text + text).slice(-LIMIT);
    });
  }

  /** The text without the control sequences of the firmware. */
  tail(): string {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it removes exactly these
    return this.#text.replaceAll("\r", "").replace(/\u001b\[[\d;=?]*[A-Za-z]|\u001bc/g, "");
  }
}
