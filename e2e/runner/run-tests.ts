/** Runs test processes and passes their reports on. */
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { join, resolve } from "node:path";
import { ReportStream, type TestReport } from "./protocol.ts";
import type { SuiteContext } from "./suite.ts";

/** The project's directory. */
export const PROJECT = resolve(import.meta.dirname, "../..");

const NODE_REPORTER = join(PROJECT, "e2e/runner/node-reporter.ts");
const TEST_TIMEOUT_MS = 900_000;
/** A process that prints nothing for longer than one test may take will not end by itself. */
const SILENCE_MS = TEST_TIMEOUT_MS + 300_000;

/** A test process to run. */
export interface TestProcess {
  program: string;
  args: string[];
  env?: Record<string, string>;
  /** How long it may print nothing. */
  silenceMs?: number;
}

/** The files that match, or an error: a suite that finds nothing must not pass. */
export function findTests(pattern: string): string[] {
  const files = globSync(pattern, { cwd: PROJECT }).sort();
  if (files.length === 0) throw new Error(`no test files match ${pattern}`);
  return files;
}

/** Arguments of Node that run test files one after the other and report each test. */
export function nodeTestArguments(files: string[]): string[] {
  const reporter = [`--test-reporter=${NODE_REPORTER}`, "--test-reporter-destination=stdout"];
  return ["--test", "--test-concurrency=1", `--test-timeout=${TEST_TIMEOUT_MS}`, ...reporter, ...files];
}

/** Calls `stop` for what has printed nothing for too long. */
export class SilenceLimit {
  /** Why it was stopped; undefined: it was not. */
  reason: string | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(what: string, stop: () => void, ms = SILENCE_MS) {
    this.#timer = setTimeout(() => {
      this.reason = `the ${what} printed nothing for ${ms / 1000} s and was ended`;
      stop();
    }, ms).unref(); // what it waits for keeps this process running
  }

  heard(): void {
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

/** Runs the process to its end; one that ends badly without a failed test is a failure of its own. */
export async function runTestProcess(
  context: SuiteContext,
  { program, args, env, silenceMs = SILENCE_MS }: TestProcess,
): Promise<void> {
  const counts = countReports(context);
  const child = spawn(program, args, {
    cwd: PROJECT,
    env: { ...context.environment, NO_COLOR: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stop = () => child.kill("SIGTERM");
  context.signal.addEventListener("abort", stop);
  const silence = new SilenceLimit("test process", stop, silenceMs);
  for (const output of [child.stdout, child.stderr]) output.on("data", () => silence.heard());
  child.stdout.pipe(new ReportStream(counts.report, context.log));
  child.stderr.pipe(new ReportStream(counts.report, context.log));
  const end = await new Promise<string>((resolve, reject) => {
    child.once("error", (cause) => reject(new Error(`start ${program}: ${cause.message}`, { cause })));
    child.once("close", (status, signal) => resolve(signal ?? String(status)));
  });
  silence.end();
  context.signal.removeEventListener("abort", stop);
  if (silence.reason) throw new Error(silence.reason);
  expectSoundEnd(counts, end);
}

/** Counts what passes through to the suite. */
export function countReports(context: SuiteContext) {
  const counts = {
    failed: 0,
    all: 0,
    report(report: TestReport) {
      counts.all++;
      if (report.state === "failed") counts.failed++;
      context.report(report);
    },
  };
  return counts;
}

/** Throws if the process ended badly, or well without a single test. */
export function expectSoundEnd(counts: { failed: number; all: number }, end: string): void {
  if (end !== "0" && counts.failed === 0)
    throw new Error(`the test process ended with ${end} and no failed test`);
  if (counts.all === 0) throw new Error("the test process ran no test");
}

/** Runs a tool that reports success by its exit status, as one test. */
export async function runCheck(
  context: SuiteContext,
  name: string,
  program: string,
  args: string[],
): Promise<void> {
  const start = Date.now();
  const child = spawn(program, args, {
    cwd: PROJECT,
    env: context.environment,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => output.push(text));
  }
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", (cause) => reject(new Error(`start ${program}: ${cause.message}`, { cause })));
    child.once("close", resolve);
  });
  const report = { file: program.replace(`${PROJECT}/`, ""), name, ms: Date.now() - start };
  if (status === 0) context.report({ ...report, state: "passed" });
  else context.report({ ...report, state: "failed", detail: output.join("") });
}
