import type { Capability } from "./capabilities.ts";
import type { TestReport } from "./protocol.ts";

/** What `npm run test:GROUP` selects. */
export type Group = "unit" | "kernel" | "cluster";

/** Tests that run together and have the same requirements. */
export interface Suite {
  name: string;
  group: Group;
  needs: Capability[];
  /**
   * May run beside others that may: it shares nothing with them and waits for no time to pass. Says how much of the
   * machine it takes meanwhile.
   */
  besides?: "a processor" | "little";
  run(context: SuiteContext): Promise<void>;
}

/** What a suite gets from the runner. */
export interface SuiteContext {
  /** Takes each test as soon as it has ended. */
  report(report: TestReport): void;
  /** Takes the files that run on fewer kernels and not on this one; they are listed at the end. */
  leaveOut(files: readonly string[]): void;
  /** Takes other output of the tests; it is shown if the suite fails. */
  log(line: string): void;
  /** Prints what is happening now. */
  progress(line: string): void;
  /** Aborted when the runner gets a signal to stop. */
  signal: AbortSignal;
  /** Run each test file on every kernel, also one that names fewer. */
  allKernels: boolean;
  environment: NodeJS.ProcessEnv;
  cacheDir: string;
}
