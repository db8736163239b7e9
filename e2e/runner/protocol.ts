/** How test processes report each test to the runner: as one marked JSON line among their other output. */
import { Writable } from "node:stream";

/** The result of one test. */
export interface TestReport {
  /** Path from the project's directory, or the tool that checked. */
  file: string;
  name: string;
  state: "passed" | "failed" | "skipped";
  ms: number;
  /** Why it was skipped, or how it failed. */
  detail?: string;
}

const MARK = "@trigon-test ";

/** The line that a reporter prints for one test. */
export function encodeReport(report: TestReport): string {
  return `${MARK}${JSON.stringify(report)}\n`;
}

/** Splits the output of a test process into reports and other lines. */
export class ReportStream extends Writable {
  readonly #onReport: (report: TestReport) => void;
  readonly #onLine: (line: string) => void;
  readonly #decoder = new TextDecoder();
  #pending = "";

  constructor(onReport: (report: TestReport) => void, onLine: (line: string) => void) {
    super();
    this.#onReport = onReport;
    this.#onLine = onLine;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const lines = (this.#pending + this.#decoder.decode(chunk, { stream: true })).split("\n");
    this.#pending = lines.pop() ?? "";
    for (const line of lines) this.#take(line);
    done();
  }

  override _final(done: () => void): void {
    if (this.#pending) this.#take(this.#pending);
    done();
  }

  /** A test may have written half a line before the report. */
  #take(line: string): void {
    const start = line.indexOf(MARK);
    if (start !== 0) this.#onLine(start > 0 ? line.slice(0, start) : line);
    if (start >= 0) this.#onReport(JSON.parse(line.slice(start + MARK.length)) as TestReport);
  }
}
