/**
 * Shows Trigon at work while a cluster is still being built: an agent in a guest, with the policies of quickstart, and
 * the events of a few changes of credentials.
 */
import { join } from "node:path";
import { Writable } from "node:stream";
import { cacheDirectory } from "./cache.mjs";
import { startGuest } from "./guest/guest.ts";
import type { KernelName } from "./guest/kernels.ts";
import { PROGRAMS_VARIABLE } from "./guest/project-program.ts";
import { FOR_SPEED } from "./guest/qemu.ts";
import { type Progress, step } from "./progress.ts";
import { bundleScripts } from "./runner/guest-bundle.ts";
import { PROJECT } from "./runner/run-tests.ts";

const IN_GUEST = "e2e/guest/first-events.ts";

/** Prints the events to stdout. A failure is a line of progress: the cluster's own events will come. */
export async function showFirstEvents(
  kernel: KernelName,
  environment: NodeJS.ProcessEnv,
  progress: Progress,
): Promise<void> {
  const what = `meanwhile, first events: an agent on Linux ${kernel} in a guest, without Kubernetes`;
  await step(progress, what, () => runInGuest(kernel, environment)).catch((error: Error) =>
    progress(`no first events: ${error.message}`),
  );
}

async function runInGuest(kernel: KernelName, environment: NodeJS.ProcessEnv): Promise<void> {
  const stdout = new TextWriter();
  const stderr = new TextWriter();
  const { pathOf, programs } = await bundleScripts([IN_GUEST], "build/first-events");
  const command = [process.execPath, join(PROJECT, pathOf(IN_GUEST))];
  const guest = await startGuest({
    kernel,
    cacheDir: cacheDirectory(environment),
    cpus: 1, // a second one would wait for the compilers
    kernelArgs: FOR_SPEED,
    launcher: ["nice", "-n", "-10"], // before the compilers, where that is allowed
    command,
    env: { [PROGRAMS_VARIABLE]: programs },
    stdout,
    stderr,
  });
  const end = await guest.ended;
  if (end.kind !== "exited" || end.status !== 0)
    throw new Error(`${JSON.stringify(end)}\n${stderr.text.trim().split("\n").slice(-12).join("\n")}`);
  process.stdout.write(`\n${stdout.text}\n`);
}

class TextWriter extends Writable {
  text = "";

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}
