/** Counts all tests and prints their results. */
import type { TestReport } from "./protocol.ts";

const DETAIL_LINES = 40;
/** Lines per failure in the closing list: some readers keep only the end of the output. */
const CLOSING_LINES = 8;
const LOG_LINES = 200;
const LEFT_OUT = "left out because other kernels run them (`npm run test:kernel` runs all)";

type Entry = TestReport & { suite: string };

/** Results of a whole run, printed as they arrive; suites may run at the same time. */
export class ConsoleReport {
  readonly #print: (line: string) => void;
  readonly #entries: Entry[] = [];
  readonly #leftOut: string[] = [];

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  get failed(): number {
    return this.#count("failed");
  }

  /** `label` is the prefix of each line if several suites print at the same time. */
  startSuite(name: string, label = ""): SuiteReport {
    const print = label ? (text: string) => this.#print(text.replace(/^(?=.)/gm, label)) : this.#print;
    return new SuiteReport(name, print, (report) => this.#entries.push({ ...report, suite: name }));
  }

  /** Takes the files that a suite does not run because suites of other kernels do. */
  leaveOut(suite: string, files: readonly string[]): void {
    if (files.length > 0) this.#leftOut.push(`${suite}: ${files.join(" ")}`);
  }

  /** Lists left-out files, then skipped and failed tests again, then prints the totals on a line of their own. */
  finish(): void {
    if (this.#leftOut.length > 0) this.#print(`\n${LEFT_OUT}:`);
    for (const line of this.#leftOut) this.#print(`  ${line}`);
    this.#list("skipped", (entry) => `${entry.suite}: ${entry.file}: ${entry.name}${because(entry)}`);
    this.#list(
      "failed",
      ({ suite, file, name, detail }) => `${suite}: ${file}: ${name}${beginning(detail ?? "")}`,
    );
    this.#print(`\n${this.#count("passed")} passed, ${this.failed} failed`);
  }

  #list(state: TestReport["state"], describe: (entry: Entry) => string): void {
    const entries = this.#entries.filter((entry) => entry.state === state);
    if (entries.length > 0) this.#print(`\n${state}:`);
    for (const entry of entries) this.#print(`  ${describe(entry)}`);
  }

  #count(state: TestReport["state"]): number {
    return this.#entries.filter((entry) => entry.state === state).length;
  }
}

/** Output of one suite. */
export class SuiteReport {
  readonly #name: string;
  readonly #print: (line: string) => void;
  readonly #keep: (report: TestReport) => void;
  readonly #counts = { passed: 0, failed: 0, skipped: 0 };
  readonly #start = Date.now();
  readonly #log: string[] = [];
  #lastDetail = "";

  constructor(name: string, print: (line: string) => void, keep: (report: TestReport) => void) {
    this.#name = name;
    this.#print = print;
    this.#keep = keep;
    print(`\n== ${name}`);
  }

  /** A test that passes is printed only if it takes at least a second. */
  add(report: TestReport): void {
    this.#keep(report);
    this.#counts[report.state]++;
    const where = `${report.file}: ${report.name}`;
    if (report.state === "failed")
      this.#print(`  FAILED   ${where}\n${indent(this.#unlessRepeated(report.detail))}`);
    else if (report.state === "skipped") this.#print(`  skipped  ${where}${because(report)}`);
    else if (report.ms >= 1000) this.#print(`  passed   ${where} (${seconds(report.ms)})`);
  }

  /** If a before() hook fails, all of its tests fail with the same detail. */
  #unlessRepeated(detail = ""): string {
    const repeated = detail !== "" && detail === this.#lastDetail;
    this.#lastDetail = detail;
    return repeated ? "as above" : detail;
  }

  log(line: string): void {
    this.#log.push(line);
    if (this.#log.length > LOG_LINES) this.#log.shift();
  }

  note(line: string): void {
    this.#print(`  ${line}`);
  }

  end(): void {
    const { passed, failed, skipped } = this.#counts;
    if (failed > 0 && this.#log.length > 0)
      this.#print(`  output:\n${indent(this.#log.join("\n"), LOG_LINES)}`);
    const parts = [`${passed} passed`, `${failed} failed`, `${skipped} skipped`];
    this.#print(`-- ${this.#name}: ${parts.join(", ")} (${seconds(Date.now() - this.#start)})`);
  }
}

/** A test may name the missing thing in its own title. */
function because({ detail }: TestReport): string {
  return detail ? `: ${detail}` : "";
}

function beginning(detail: string): string {
  const lines = detail.split("\n").filter(Boolean).slice(0, CLOSING_LINES);
  return lines.map((line) => `\n      ${line}`).join("");
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

function indent(text: string, limit = DETAIL_LINES): string {
  const lines = text.trimEnd().split("\n");
  const kept =
    lines.length > limit ? [`… ${lines.length - limit} lines before`, ...lines.slice(-limit)] : lines;
  return kept.map((line) => `           ${line}`).join("\n");
}
