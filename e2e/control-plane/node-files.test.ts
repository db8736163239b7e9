import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { nodeAddresses } from "./network.ts";
import { nodeFiles } from "./node-files.ts";

const settings = {
  name: "node-2",
  inContainer: false,
  addresses: nodeAddresses(2),
  directory: "/run/node",
  containerdDirectory: "/cache/containerd",
  kubelet: "/cache/kubernetes/kubelet",
  imageStore: "/cache/store",
  pauseImage: "example/pause:1",
};

test("nodes have different addresses, devices and pod ranges", () => {
  const [one, two] = [nodeAddresses(1), nodeAddresses(2)];
  for (const key of ["address", "mac", "podCidr", "tap"] as const) expect(one[key]).not.toBe(two[key]);
});

test("pods get addresses of their node's range, on which the host routes to the node", () => {
  const network = JSON.parse(nodeFiles(settings)["cni/10-bridge.conflist"] ?? "");
  expect(network.plugins[0].ipam.ranges).toEqual([[{ subnet: "10.244.2.0/24" }]]);
});

test("containers write to a RAM disk that does not hide the ready snapshots", () => {
  const files = nodeFiles(settings);
  const lines = `${files["node.sh"]}${files["daemons.sh"]}`.split("\n");
  const at = (text: string) => lines.findIndex((line) => line.startsWith(text));
  expect(at("mount --bind /cache/store/")).toBeGreaterThan(-1);
  expect(at("mount -t tmpfs")).toBeGreaterThan(at("mount --bind"));
  // On a shared mount the RAM disk would appear at the bind mount as well.
  expect(at("mount --make-rshared")).toBeGreaterThan(at("mount -t tmpfs"));
});

test("kubelet has the name that its credentials are for", () => {
  const files = nodeFiles(settings);
  expect(files["daemons.sh"]).toContain("--hostname-override node-2 --node-ip 10.200.0.12");
  expect(JSON.parse(files["kubelet.yaml"] ?? "").cgroupDriver).toBe("cgroupfs");
});

test("a node in a container has the machine's /proc where kind-config.yaml mounts it", () => {
  expect(nodeFiles(settings)["node.sh"]).not.toContain("unshare");
  const script = nodeFiles({ ...settings, inContainer: true })["node.sh"] ?? "";
  const kind = parse(readFileSync(new URL("../../kind-config.yaml", import.meta.url), "utf8"));
  for (const { extraMounts } of kind.nodes) {
    const [{ hostPath, containerPath, readOnly }] = extraMounts;
    expect(script).toContain(`mount --bind ${hostPath} ${containerPath}\n`);
    expect(readOnly).toBe(true);
  }
  expect(kind.nodes).toHaveLength(3);
});
