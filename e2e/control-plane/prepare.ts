/** Finds or builds all files of a cluster; the only part that downloads. */
import { cacheDirectory } from "../cache.mjs";
import { type KernelName, prepareKernel } from "../guest/kernels.ts";
import { prepareImages } from "../image/build.ts";
import type { Progress } from "../progress.ts";
import { type Binaries, CLUSTER_PROGRAMS, findBinaries, locate } from "./binaries.ts";

/** Paths of the prepared files; plain data, so that they can be passed to another process. */
export interface Prepared {
  cacheDir: string;
  binaries: Binaries;
  imageStore: string;
}

/**
 * Kernels are downloaded while the rest keeps the processors busy. What runs `meanwhile` ends before images are built:
 * nothing waits for these as long as programs are compiled.
 */
export async function prepareCluster(
  kernels: KernelName[],
  environment: NodeJS.ProcessEnv,
  progress: Progress,
  meanwhile: readonly Promise<void>[] = [],
): Promise<Prepared> {
  const cacheDir = cacheDirectory(environment);
  const downloads = prepareKernels(kernels, cacheDir, progress);
  // Reported below; a failure before that must not count as unhandled.
  downloads.catch(() => {});
  // All at once, because each look into Debian reads its package lists.
  await locate(CLUSTER_PROGRAMS, environment, progress);
  await Promise.all(meanwhile);
  const imageStore = await prepareImages(cacheDir, environment, progress);
  const binaries = await findBinaries(CLUSTER_PROGRAMS, environment, progress);
  await downloads;
  return { cacheDir, binaries, imageStore };
}

async function prepareKernels(kernels: KernelName[], cacheDir: string, progress: Progress): Promise<void> {
  for (const kernel of new Set(kernels)) await prepareKernel(kernel, cacheDir, progress);
}
