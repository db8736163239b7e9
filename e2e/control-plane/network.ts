/** The network of a cluster, in a network namespace of its own: a bridge, and per node a tap device and a pod range. */
import { runProgram } from "../guest/program.ts";

/** Addresses that all parts of a cluster use. */
export const NETWORK = {
  bridge: "trigon0",
  /** The host's side of the bridge: gateway of the nodes, address of the API server. */
  hostAddress: "10.200.0.1",
  serviceCidr: "10.96.0.0/16",
  /** First address of the service range: `kubernetes.default`. No proxy runs, so the host answers there itself. */
  apiServiceAddress: "10.96.0.1",
  podCidr: "10.244.0.0/16",
} as const;

/** Where a node is in the network; `index` starts at 1. */
export interface NodeAddresses {
  address: string;
  podCidr: string;
  tap: string;
  mac: string;
}

/** Addresses of the node with this index (1 to 200). */
export function nodeAddresses(index: number): NodeAddresses {
  return {
    address: `10.200.0.${index + 10}`,
    podCidr: `10.244.${index}.0/24`,
    tap: `tap${index}`,
    mac: `52:54:00:00:00:${(index + 10).toString(16).padStart(2, "0")}`,
  };
}

/** Makes the bridge, the tap devices and the routes to the pods; the caller is in a fresh network namespace. */
export async function setUpNetwork(nodes: NodeAddresses[]): Promise<void> {
  const { bridge, hostAddress, apiServiceAddress } = NETWORK;
  const lines = [
    "link set lo up",
    `link add ${bridge} type bridge`,
    `addr add ${hostAddress}/24 dev ${bridge}`,
    `addr add ${apiServiceAddress}/32 dev ${bridge}`,
    `link set ${bridge} up`,
    ...nodes.flatMap(({ tap }) => [
      `tuntap add dev ${tap} mode tap`,
      `link set ${tap} master ${bridge}`,
      `link set ${tap} up`,
    ]),
    ...nodes.map(({ podCidr, address }) => `route add ${podCidr} via ${address}`),
  ];
  for (const line of lines) await runProgram("ip", line.split(" "));
}
