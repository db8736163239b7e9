/** How is said what some of the recorded kernels refuse. */
import type { Problems } from "../problems.ts";
import { inKernels } from "./prototypes.ts";

/** What a message says holds in these kernels, a bit each. */
export interface OfKernels {
  kernels: number;
}

/** An error where every kernel refuses it, else a warning that names those that do. */
export function reportFaults(
  faults: readonly OfKernels[],
  isCertain: boolean,
  { path, message }: { path: string; message: string },
  problems: Problems,
): void {
  if (isCertain) {
    problems.error(path, message);
    return;
  }
  const bits = faults.reduce((all, { kernels }) => all | kernels, 0);
  problems.warnOfKernels(bits, path, `${inKernels(bits)}: ${message}`);
}
