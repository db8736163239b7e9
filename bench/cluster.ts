/** How long the cluster takes until a change has its effect on every node, and what short containers are shown with. */
import { join } from "node:path";
import { runInCluster } from "../e2e/control-plane/session.ts";

/** Starts two nodes, the second one inside a container, and measures there. */
export async function run(): Promise<void> {
  const status = await runInCluster({
    kernels: ["6.1", "6.12"],
    inContainer: [1],
    command: [process.execPath, join(import.meta.dirname, "cluster/measure.ts")],
    keep: false,
    environment: process.env,
    progress: (line) => process.stderr.write(`${line}\n`),
  });
  if (status !== 0) throw new Error(`the measurements in the cluster ended with status ${status}`);
}
