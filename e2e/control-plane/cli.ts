/** `npm run cluster`: starts a Kubernetes cluster with Trigon, runs a command against it, and ends the cluster. */
import { parseArgs } from "node:util";
import { isKernelName, KERNEL_NAMES, type KernelName } from "../guest/kernels.ts";
import { runInCluster, type SessionOptions } from "./session.ts";

const USAGE = `npm run cluster -- [OPTIONS] -- COMMAND [ARGUMENT…]

Starts a Kubernetes control plane and nodes (kubelet in QEMU guests) in namespaces of their own, installs Trigon from
manifests/, and runs COMMAND with KUBECONFIG set and kubectl on PATH. Addresses of pods and nodes can be reached from
COMMAND. Everything ends with COMMAND.

  --nodes N         number of nodes (default: one per kernel)
  --kernel K[,K…]   ${KERNEL_NAMES.join(", ")}; used in turn (default 6.1,6.12)
  --in-container N  this node, counted from 1, runs inside a container, as kind's nodes do; repeatable
  --keep            leave the cluster up when COMMAND is over

Exit status: that of COMMAND; 125 if the cluster did not come up; 2 for wrong usage.
`;

const DEFAULT_KERNELS = "6.1,6.12";
const MAX_NODES = 20;

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  const options = parseOptions(args);
  if (typeof options === "string") {
    process.stderr.write(options ? `cluster: ${options}\n\n${USAGE}` : USAGE);
    return options ? 2 : 0;
  }
  const progress = (line: string) => process.stderr.write(`${line}\n`);
  return runInCluster({ ...options, environment: process.env, progress }).catch((error: Error) => {
    progress(`cluster: ${error.message}`);
    return 125;
  });
}

function parseOptions(args: string[]): Omit<SessionOptions, "environment" | "progress"> | string {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        nodes: { type: "string" },
        kernel: { type: "string", default: DEFAULT_KERNELS },
        "in-container": { type: "string", multiple: true, default: [] },
        keep: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) return "";
    if (positionals.length === 0) return "COMMAND is missing";
    const kernels = kernelPerNode(values.kernel, values.nodes);
    const inContainer = values["in-container"].map((text) => nodeIndex(text, kernels.length));
    return { kernels, inContainer, command: positionals, keep: values.keep };
  } catch (error) {
    return (error as Error).message;
  }
}

function nodeIndex(text: string, count: number): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > count) {
    throw new Error(`--in-container ${text}: a whole number from 1 to ${count}`);
  }
  return number - 1;
}

function kernelPerNode(list: string, nodes: string | undefined): KernelName[] {
  const kernels = list.split(",").map((name) => {
    if (!isKernelName(name)) throw new Error(`--kernel ${name}: one of ${KERNEL_NAMES.join(", ")}`);
    return name;
  });
  const count = nodes === undefined ? kernels.length : Number(nodes);
  if (!Number.isInteger(count) || count < 1 || count > MAX_NODES) {
    throw new Error(`--nodes ${nodes}: a whole number from 1 to ${MAX_NODES}`);
  }
  return Array.from({ length: count }, (_none, index) => kernels[index % kernels.length] as KernelName);
}
