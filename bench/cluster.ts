/** How long the cluster takes until a change has its effect on every node, and what short containers are shown with. */
import { join } from "node:path";
import { runInCluster } from "../e2e/control-plane/session.ts";

/** How much is measured, as flags give it. */
interface Sizes {
  rounds?: string | undefined;
  containers?: string | undefined;
}

/** Starts two nodes, the second one inside a container, and measures there. Throws if a size is no whole number. */
export async function run({ rounds = "7", containers = "100" }: Sizes): Promise<void> {
  const sizes = [wholeNumber("--rounds", rounds), wholeNumber("--containers", containers)];
  const status = await runInCluster({
    kernels: ["6.1", "6.12"],
    inContainer: [1],
    command: [process.execPath, join(import.meta.dirname, "cluster/measure.ts"), ...sizes],
    keep: false,
    environment: process.env,
    progress: (line) => process.stderr.write(`${line}\n`),
  });
  if (status !== 0) throw new Error(`the measurements in the cluster ended with status ${status}`);
}

function wholeNumber(flag: string, text: string): string {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Error(`${flag} ${text}: must be a whole number from 1 to 9999`);
  return text;
}
