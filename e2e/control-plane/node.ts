/** A Kubernetes node: containerd and kubelet in a QEMU guest. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { PassThrough } from "node:stream";
import { type Guest, startGuest } from "../guest/guest.ts";
import type { KernelName } from "../guest/kernels.ts";
import { FOR_SPEED } from "../guest/qemu.ts";
import type { Binaries } from "./binaries.ts";
import type { NodeAddresses } from "./network.ts";
import { nodeFiles } from "./node-files.ts";

/** Where the node's directory is in the guest. */
const GUEST_DIRECTORY = "/run/trigon-node";

const MAX_CPUS = 2;

const MODULES = ["virtio_net", "veth", "bridge", "br_netfilter", "nf_tables", "overlay"];

/** What a node needs to start. */
export interface NodeOptions {
  name: string;
  kernel: KernelName;
  /** The node runs inside a container of the guest, as kind's nodes do. */
  inContainer: boolean;
  addresses: NodeAddresses;
  /** For configuration and logs, on the host. */
  directory: string;
  /** Contents of the kubelet's kubeconfig. */
  kubeconfig: string;
  binaries: Binaries<"kubelet" | "containerd">;
  /** A containerd root that has the images. */
  imageStore: string;
  pauseImage: string;
  cacheDir: string;
  /** Processors of the guest. */
  cpus: number;
}

/**
 * Processors of each node. The kernel and Go do less on a single one, and so does QEMU for each of their atomic
 * operations: a second one pays only if the machine has it to spare.
 */
export function cpusPerNode(nodes: number, processors = availableParallelism()): number {
  return Math.max(1, Math.min(MAX_CPUS, Math.floor(processors / nodes)));
}

/** A node whose guest was started. Its Node object in the API server shows when it is Ready. */
export class ClusterNode {
  readonly name: string;
  readonly kernel: KernelName;
  readonly guest: Guest;
  readonly #directory: string;

  private constructor(options: NodeOptions, guest: Guest) {
    this.name = options.name;
    this.kernel = options.kernel;
    this.guest = guest;
    this.#directory = options.directory;
  }

  static async start(options: NodeOptions): Promise<ClusterNode> {
    await writeNodeDirectory(options);
    const sink = new PassThrough();
    sink.resume();
    const guest = await startGuest({
      kernel: options.kernel,
      cacheDir: options.cacheDir,
      cpus: options.cpus,
      kernelArgs: FOR_SPEED,
      hostname: options.name,
      command: ["sh", `${GUEST_DIRECTORY}/node.sh`],
      cwd: "/",
      modules: MODULES,
      taps: [{ name: options.addresses.tap, mac: options.addresses.mac }],
      tmpfs: ["/var/lib/kubelet", "/var/log/pods", "/var/log/containers"],
      shares: [{ hostPath: options.directory, guestPath: GUEST_DIRECTORY }],
      keep: [options.imageStore, ...Object.values(options.binaries).map(dirname)],
      // Ctrl-C in a terminal is for the command that uses the cluster.
      launcher: ["setsid"],
      stdout: sink,
      stderr: sink,
    });
    return new ClusterNode(options, guest);
  }

  /** The ends of the logs of kubelet, containerd and the kernel. */
  async logs(lines: number): Promise<string> {
    const parts = ["kubelet.log", "containerd.log", "node.log"].map(async (file) => {
      const text = await readFile(join(this.#directory, file), "utf8").catch(() => "");
      return `--- ${this.name} ${file}\n${lastLines(text, lines)}\n`;
    });
    return `${(await Promise.all(parts)).join("")}--- ${this.name} console\n${lastLines(this.guest.console(), lines)}\n`;
  }
}

async function writeNodeDirectory(options: NodeOptions): Promise<void> {
  const files = nodeFiles({
    ...options,
    directory: GUEST_DIRECTORY,
    containerdDirectory: dirname(options.binaries.containerd),
    kubelet: options.binaries.kubelet,
  });
  for (const [name, text] of Object.entries({ ...files, kubeconfig: options.kubeconfig })) {
    const path = join(options.directory, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text, { mode: 0o600 });
  }
}

const lastLines = (text: string, count: number) => text.trimEnd().split("\n").slice(-count).join("\n");
