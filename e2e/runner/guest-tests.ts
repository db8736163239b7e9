/** Runs test files inside a guest: one boot, all files. */
import { cpus } from "node:os";
import { findGrpcClients } from "../clients/programs.ts";
import { findBinaries, METRICS_READERS } from "../control-plane/binaries.ts";
import { startGuest } from "../guest/guest.ts";
import { buildModules } from "../guest/kernel-modules.ts";
import { DEFAULT_KERNEL, type KernelName, prepareKernel } from "../guest/kernels.ts";
import { programs } from "./capabilities.ts";
import { ReportStream } from "./protocol.ts";
import { countReports, expectSoundEnd, findTests, nodeTestArguments } from "./run-tests.ts";
import type { Suite, SuiteContext } from "./suite.ts";

const TIMEOUT_MS = 40 * 60_000;

/** The guest tests on one kernel, as a suite; with the default kernel also those that need only one. */
export function guestSuite(kernel: KernelName, needs: Suite["needs"]): Suite {
  return {
    name: `kernel ${kernel}`,
    group: "kernel",
    needs,
    besides: "a processor",
    run: (context) => runInGuest(context, kernel),
  };
}

async function runInGuest(context: SuiteContext, kernel: KernelName): Promise<void> {
  const once = kernel === DEFAULT_KERNEL ? findTests("e2e/guest/*.one-guest-test.ts") : [];
  const files = [...findTests("e2e/guest/*.guest-test.ts"), ...once];
  const { cacheDir, progress } = context;
  // Programs that tests of the guest start; without a compiler those tests are skipped.
  const { environment } = context;
  if (once.length > 0 && programs("go")(environment) === undefined) {
    await findGrpcClients(environment, progress);
    await findBinaries(METRICS_READERS, environment, progress);
  }
  try {
    const prepared = await prepareKernel(kernel, cacheDir, progress);
    // Without its headers the tests that need a module are skipped, and say so.
    await buildModules(prepared, cacheDir, progress).catch((error: Error) => context.log(error.message));
  } catch (error) {
    const detail = `the kernel cannot be fetched: ${(error as Error).message}`;
    return context.report({
      file: "e2e/guest",
      name: `all tests on ${kernel}`,
      state: "skipped",
      ms: 0,
      detail,
    });
  }
  const counts = countReports(context);
  const guest = await startGuest({
    kernel,
    cacheDir,
    command: ["node", ...nodeTestArguments(files)],
    stdout: new ReportStream(counts.report, context.log),
    stderr: new ReportStream(counts.report, context.log),
    memoryMb: 3072,
    cpus: Math.min(4, Math.max(2, cpus().length)),
    timeoutMs: TIMEOUT_MS,
  });
  const stop = () => void guest.kill();
  context.signal.addEventListener("abort", stop);
  const end = await guest.ended;
  context.signal.removeEventListener("abort", stop);
  if (end.kind === "exited") return expectSoundEnd(counts, String(end.status));
  context.log(guest.console().trimEnd().split("\n").slice(-60).join("\n"));
  throw new Error(end.kind === "killed" ? "the guest was ended" : end.message);
}
