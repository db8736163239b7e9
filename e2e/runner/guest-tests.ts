/** Runs test files inside a guest: one boot, all files. */
import { cpus } from "node:os";
import { findGrpcClients } from "../clients/programs.ts";
import { findBinaries, METRICS_READERS } from "../control-plane/binaries.ts";
import { startGuest } from "../guest/guest.ts";
import { buildModules } from "../guest/kernel-modules.ts";
import { DEFAULT_KERNEL, type KernelName, prepareKernel } from "../guest/kernels.ts";
import { PROGRAMS_VARIABLE } from "../guest/project-program.ts";
import { programs } from "./capabilities.ts";
import { bundleTests, type GuestBundle } from "./guest-bundle.ts";
import { filesOn } from "./kernel-choice.ts";
import { ReportStream, type TestReport } from "./protocol.ts";
import { countReports, expectSoundEnd, findTests, nodeTestArguments, SilenceLimit } from "./run-tests.ts";
import type { Suite, SuiteContext } from "./suite.ts";

/** How often one suite gets a new guest for one that the emulator lost. */
const MAX_LOSSES = 2;

/** The tests of what differs between kernels, on one of them. */
export function kernelSuite(kernel: KernelName, needs: Suite["needs"]): Suite {
  return {
    name: `kernel ${kernel}`,
    group: "kernel",
    needs,
    besides: "a processor",
    async run(context) {
      const files = findTests("e2e/guest/*.guest-test.ts");
      const { run, leftOut } = context.allKernels ? { run: files, leftOut: [] } : filesOn(kernel, files);
      context.leaveOut(leftOut);
      await runInGuest(context, kernel, run);
    },
  };
}

/** The tests of what is the same on every kernel. */
export function oneGuestSuite(needs: Suite["needs"]): Suite {
  return {
    name: "one guest",
    group: "kernel",
    needs,
    besides: "a processor",
    async run(context) {
      const { environment, progress } = context;
      // Programs that tests of the guest start; without a compiler those tests are skipped.
      if (programs("go")(environment) === undefined) {
        await findGrpcClients(environment, progress);
        await findBinaries(METRICS_READERS, environment, progress);
      }
      await runInGuest(context, DEFAULT_KERNEL, findTests("e2e/guest/*.one-guest-test.ts"));
    },
  };
}

async function runInGuest(context: SuiteContext, kernel: KernelName, files: string[]): Promise<void> {
  const { cacheDir, progress } = context;
  try {
    const prepared = await prepareKernel(kernel, cacheDir, progress);
    // Without its headers the tests that need a module are skipped, and say so.
    await buildModules(prepared, cacheDir, progress).catch((error: Error) => context.log(error.message));
  } catch (error) {
    const detail = `the kernel cannot be fetched: ${(error as Error).message}`;
    const name = `all tests on ${kernel}`;
    return context.report({ file: "e2e/guest", name, state: "skipped", ms: 0, detail });
  }
  const bundle = await bundleTests();
  const counts = countReports(context);
  const once = new OncePerTest(counts.report);
  const report = (test: TestReport) => once.report({ ...test, file: bundle.sourceOf(test.file) });
  let left = files;
  for (let losses = 0; ; losses++) {
    const { end, console, silence } = await runFiles(context, kernel, bundle, left, report);
    if (end.kind === "exited") return expectSoundEnd(counts, String(end.status));
    context.log(console.trimEnd().split("\n").slice(-60).join("\n"));
    if (end.kind === "killed") throw new Error(silence ?? "the guest was ended");
    if (losses === MAX_LOSSES || !isLostByEmulator(console)) throw new Error(end.message);
    left = filesFrom(left, once.lastFile);
    context.log(`the emulator lost the guest while the kernel changed its code; again from ${left[0]}`);
  }
}

/** Runs the files in a guest of their own, and returns how it ended. */
async function runFiles(
  { cacheDir, log, signal }: SuiteContext,
  kernel: KernelName,
  { pathOf, programs: directory }: GuestBundle,
  files: readonly string[],
  report: (test: TestReport) => void,
) {
  const stop = () => void guest.kill();
  const silence = new SilenceLimit("guest", stop);
  const heard =
    <T>(take: (what: T) => void) =>
    (what: T) => {
      silence.heard();
      take(what);
    };
  const output = () => new ReportStream(heard(report), heard(log));
  const guest = await startGuest({
    kernel,
    cacheDir,
    command: ["node", ...nodeTestArguments(files.map(pathOf))],
    env: { [PROGRAMS_VARIABLE]: directory },
    stdout: output(),
    stderr: output(),
    memoryMb: 3072,
    cpus: Math.min(4, Math.max(2, cpus().length)),
  });
  signal.addEventListener("abort", stop);
  const end = await guest.ended;
  silence.end();
  signal.removeEventListener("abort", stop);
  return { end, console: guest.console(), silence: silence.reason };
}

/** A file that an end of the guest cuts off is run again: what it reported before is not reported twice. */
export class OncePerTest {
  readonly #report: (test: TestReport) => void;
  readonly #seen = new Set<string>();
  /** Of the last test that was reported. */
  lastFile: string | undefined;

  constructor(report: (test: TestReport) => void) {
    this.#report = report;
  }

  report(test: TestReport): void {
    this.lastFile = test.file;
    const key = `${test.file}\n${test.name}`;
    // A failure is always news.
    if (this.#seen.has(key) && test.state !== "failed") return;
    this.#seen.add(key);
    this.#report(test);
  }
}

/** The file that was running, and those that come after it; all if nothing was reported. */
export function filesFrom(files: readonly string[], last: string | undefined): string[] {
  return files.slice(Math.max(0, files.indexOf(last ?? "")));
}

/**
 * A processor ran a breakpoint that the kernel had already taken out of its own code: it puts one there while it changes
 * an instruction, and tells all processors before it goes on. QEMU's processors sometimes keep the translation of the
 * old code; it was seen at places that no program of ours is about.
 */
export function isLostByEmulator(console: string): boolean {
  return /^\[[ .\d]+\] (?:Oops: )?int3: /m.test(console);
}
