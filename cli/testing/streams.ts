/** Streams of a command that a test reads. */
import { Readable } from "node:stream";
import type { LiveStreams } from "../streams.ts";

/** What a command has written so far. */
export class TestStreams implements LiveStreams {
  readonly lines: string[] = [];
  readonly errors: string[] = [];
  readonly input: Readable;
  readonly #ended = new AbortController();
  readonly signal = this.#ended.signal;
  isTerminal = false;
  #onLine: (() => void) | undefined;

  /** `input` is the standard input, a pipe; without one there is none. */
  constructor(text?: string) {
    this.input = Readable.from([text ?? ""]);
    this.isPiped = () => text !== undefined;
  }

  isPiped: () => boolean;

  readonly out = (line: string): void => {
    this.lines.push(line);
    this.#onLine?.();
  };

  readonly err = (line: string): void => {
    this.errors.push(line);
  };

  readonly stdin = async (): Promise<string> => (await this.input.toArray()).join("");

  async drained(): Promise<void> {}

  /** Ends the command when it has written so many lines. */
  endAfter(lines: number): this {
    this.#onLine = () => {
      if (this.lines.length >= lines) this.#ended.abort();
    };
    return this;
  }
}
