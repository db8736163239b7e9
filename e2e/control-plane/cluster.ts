/** A Kubernetes cluster with real nodes; runs in a network namespace of its own (see namespace.ts). */
import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { KernelName } from "../guest/kernels.ts";
import { runProgram } from "../guest/program.ts";
import { PAUSE_IMAGE } from "../image/build.ts";
import { type Progress, step } from "../progress.ts";
import { waitUntil } from "../waiting.ts";
import type { Binaries } from "./binaries.ts";
import { type ControlPlane, startControlPlane } from "./control-plane.ts";
import { nodeIdentity } from "./credentials.ts";
import { NETWORK, nodeAddresses, setUpNetwork } from "./network.ts";
import { ClusterNode, cpusPerNode } from "./node.ts";

/** Parts of a cluster, all of them on this machine's disk. */
export interface ClusterOptions {
  /** Kernel of each node; node-1 has the first. */
  kernels: KernelName[];
  /** Indexes of the nodes that run inside a container. */
  inContainer: readonly number[];
  /** For data and logs. */
  directory: string;
  cacheDir: string;
  binaries: Binaries;
  imageStore: string;
  environment: NodeJS.ProcessEnv;
  progress: Progress;
}

/** The project's Node, which runs TypeScript. */
const NODE_DIRECTORY = dirname(process.execPath);

/** A cluster with all nodes Ready. */
export class Cluster {
  readonly plane: ControlPlane;
  readonly nodes: ClusterNode[];
  readonly #options: ClusterOptions;

  private constructor(plane: ControlPlane, nodes: ClusterNode[], options: ClusterOptions) {
    this.plane = plane;
    this.nodes = nodes;
    this.#options = options;
  }

  /** Resolves when every node is Ready; nothing is left running when it rejects. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const addresses = options.kernels.map((_kernel, index) => nodeAddresses(index + 1));
    await setUpNetwork(addresses);
    const plane = await step(options.progress, "start etcd, API server, controller manager, scheduler", () =>
      startPlane(options),
    );
    const cluster = new Cluster(plane, [], options);
    try {
      await step(options.progress, `boot ${describeNodes(options)}`, () => cluster.#startNodes());
      return cluster;
    } catch (error) {
      options.progress(await cluster.logs());
      await cluster.stop();
      throw error;
    }
  }

  /** Variables for programs that use the cluster. */
  get environment(): NodeJS.ProcessEnv {
    const path = `${this.plane.binDirectory}:${NODE_DIRECTORY}:${this.#options.environment.PATH}`;
    return { ...this.#options.environment, KUBECONFIG: this.plane.kubeconfigPath, PATH: path };
  }

  /** Runs kubectl as the admin and returns what it prints. */
  kubectl(...args: string[]): Promise<string> {
    return runProgram(this.plane.binaries.kubectl, ["--kubeconfig", this.plane.kubeconfigPath, ...args]);
  }

  /** The ends of the logs of control plane and nodes. */
  async logs(lines = 30): Promise<string> {
    const nodes = await Promise.all(this.nodes.map((node) => node.logs(lines)));
    return `${await this.plane.logs(lines)}${nodes.join("")}`;
  }

  /** Ends the nodes, then the control plane; idempotent. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.guest.kill()));
    await this.plane.stop();
  }

  async #startNodes(): Promise<void> {
    for (const [index, kernel] of this.#options.kernels.entries()) {
      this.nodes.push(await this.#startNode(nodeName(index), kernel, index));
    }
    const died = Promise.race(
      this.nodes.map(async ({ name, guest }) => {
        const end = await guest.ended;
        throw new Error(`${name} ended early: ${JSON.stringify(end)}`);
      }),
    );
    await Promise.race([died, this.#nodesReady()]);
    died.catch(() => {});
  }

  async #startNode(name: string, kernel: KernelName, index: number): Promise<ClusterNode> {
    const { directory, cacheDir, binaries, imageStore, inContainer } = this.#options;
    const nodeDirectory = join(directory, name);
    await mkdir(nodeDirectory, { recursive: true });
    return ClusterNode.start({
      name,
      kernel,
      inContainer: inContainer.includes(index),
      addresses: nodeAddresses(index + 1),
      directory: nodeDirectory,
      kubeconfig: await readFile(await this.plane.kubeconfigFor(nodeIdentity(name).user), "utf8"),
      binaries,
      imageStore,
      pauseImage: PAUSE_IMAGE,
      cacheDir,
      cpus: cpusPerNode(this.#options.kernels.length),
    });
  }

  async #nodesReady(): Promise<void> {
    const wanted = this.nodes.length;
    await waitUntil({
      what: `${wanted} nodes Ready`,
      probe: async () => (await this.#nodeStates()).filter(isReady).length === wanted,
      state: async () =>
        `${(await this.#nodeStates()).join("\n")}\n${this.nodes.map(({ guest }) => guest.console()).join("")}`,
      intervalMs: 500,
    });
  }

  async #nodeStates(): Promise<string[]> {
    return (await this.plane.get<NodeList>("/api/v1/nodes")).items.map(describeState);
  }
}

/** The part of a list of nodes that matters here. */
interface NodeList {
  items: { metadata: { name: string }; status: { conditions?: { type: string; status: string }[] } }[];
}

/** A node's conditions without the times of heartbeats. */
function describeState({ metadata, status }: NodeList["items"][number]): string {
  const conditions = (status.conditions ?? []).map((condition) => `${condition.type}=${condition.status}`);
  return `${metadata.name}: ${conditions.join(" ")}`;
}

const isReady = (state: string) => state.includes(" Ready=True");

/** Node names are node-1, node-2 … */
const nodeName = (index: number) => `node-${index + 1}`;

function describeNodes({ kernels, inContainer }: ClusterOptions): string {
  const form = (index: number) => (inContainer.includes(index) ? ", in a container" : "");
  return kernels.map((kernel, index) => `${nodeName(index)} (Linux ${kernel}${form(index)})`).join(" and ");
}

function startPlane({ kernels, directory, environment, progress }: ClusterOptions): Promise<ControlPlane> {
  return startControlPlane({
    directory: join(directory, "control-plane"),
    bindAddress: "0.0.0.0",
    advertiseAddress: NETWORK.hostAddress,
    port: 443,
    serviceCidr: NETWORK.serviceCidr,
    identities: kernels.map((_kernel, index) => nodeIdentity(nodeName(index))),
    controllers: true,
    environment,
    progress,
  });
}
