/** `npm run quickstart`: starts a cluster, installs Trigon, applies two policies and shows their events (tour.ts). */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { cacheDirectory } from "./cache.mjs";
import { isProgramMissing } from "./control-plane/binaries.ts";
import { runInCluster } from "./control-plane/session.ts";
import { showFirstEvents } from "./first-events.ts";
import { type KernelName, prepareKernel } from "./guest/kernels.ts";
import { checkPolicyFiles } from "./policy-files.ts";

const USAGE = `npm run quickstart -- [OPTIONS]

Starts Kubernetes with two nodes (kubelet in QEMU guests, Linux 6.1 and 6.12), installs Trigon, applies two policies,
changes credentials in a pod on each node, and prints the policies, the events and the counts.
The first run builds all programs and keeps them in ~/.cache/trigon (or TRIGON_CACHE).

  --policy FILE   also apply the policies in FILE; repeatable
  --keep          leave the cluster running, and print how to use it and how to end it
  --help          print this text

The exit status is 0 only if each node posted the expected events.
`;

const KERNELS: [KernelName, KernelName] = ["6.1", "6.12"];

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  const progress = (line: string) => process.stderr.write(`${line}\n`);
  try {
    const options = parseOptions(args);
    if (!options) {
      process.stdout.write(USAGE);
      return 0;
    }
    const checked = await checkPolicyFiles(options.policies, progress);
    if (checked !== 0) return checked;
    const start = Date.now();
    const firstEvents = await startFirstEvents(progress);
    const status = await runInCluster({
      kernels: KERNELS,
      meanwhile: firstEvents,
      command: tour(options.policies),
      keep: options.keep,
      environment: process.env,
      progress,
    });
    progress(`quickstart: ${ending(status, Date.now() - start)}`);
    return status;
  } catch (error) {
    progress(`quickstart: ${(error as Error).message}`);
    return isUsageError(error) ? 2 : 1;
  }
}

/** @param status As `runInCluster` resolves it. */
function ending(status: number, milliseconds: number): string {
  if (status === 0) return `all expected events arrived, in ${(milliseconds / 60_000).toFixed(1)} minutes`;
  if (status === 125) return "the cluster did not come up";
  if (status > 128) return "interrupted";
  return "some expected events are missing";
}

/** Resolves when they are under way, so that nothing else fetches the same kernel; they come only where a wait is ahead. */
async function startFirstEvents(progress: (line: string) => void): Promise<Promise<void>[]> {
  if (!(await isProgramMissing("kubelet", process.env))) return [];
  await prepareKernel(KERNELS[0], cacheDirectory(process.env), progress);
  return [showFirstEvents(KERNELS[0], process.env, progress)];
}

function parseOptions(args: string[]): { policies: string[]; keep: boolean } | undefined {
  const { values } = parseArgs({
    args,
    options: {
      policy: { type: "string", multiple: true, default: [] },
      keep: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  return { policies: values.policy.map((file) => resolve(file)), keep: values.keep };
}

function tour(policies: string[]): string[] {
  const script = join(import.meta.dirname, "tour.ts");
  return [process.execPath, script, ...policies.flatMap((file) => ["--policy", file])];
}

function isUsageError(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS") ?? false;
}
