/** `npm run quickstart`: a real two-node cluster with Trigon, and the tour through it. */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { runInCluster } from "./control-plane/session.ts";

const USAGE = `npm run quickstart [-- OPTIONS]

Starts a Kubernetes control plane and two nodes (kubelet in QEMU guests, Linux 6.1 and 6.12), installs Trigon from
manifests/, applies two policies, changes credentials in a pod on each node, and shows what was seen: the table of
policies, one line per event, one event in full, and the counts in each agent's /metrics.

  --policy FILE   apply this policy as well; repeatable
  --keep          leave the cluster up and say how to use and how to end it
  --help          this text

Exit status: 0 if everything was seen; 1 if not; 125 if the cluster did not come up; 2 for wrong usage.
`;

const TOUR = fileURLToPath(new URL("./tour.ts", import.meta.url));

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  let options: { policy: string[]; keep: boolean; help: boolean };
  try {
    options = parseOptions(args);
  } catch (error) {
    process.stderr.write(`quickstart: ${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const start = Date.now();
  const progress = (line: string) => process.stderr.write(`${line}\n`);
  const policies = options.policy.flatMap((file) => ["--policy", resolve(file)]);
  const status = await runInCluster({
    kernels: ["6.1", "6.12"],
    command: [process.execPath, TOUR, ...policies],
    keep: options.keep,
    environment: process.env,
    progress,
  }).catch((error: Error) => {
    progress(`quickstart: ${error.message}`);
    return 125;
  });
  const seconds = Math.round((Date.now() - start) / 1000);
  progress(
    status === 0 ? `\nall of it was seen, in ${seconds} s` : `\nquickstart failed (exit status ${status})`,
  );
  return status;
}

function parseOptions(args: string[]): { policy: string[]; keep: boolean; help: boolean } {
  return parseArgs({
    args,
    options: {
      policy: { type: "string", multiple: true, default: [] },
      keep: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  }).values;
}
