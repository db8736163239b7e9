/**
 * Where the operator's pods land and when they may be evicted, by the real scheduler and the real controllers. Kubelets
 * are not needed for that: the test writes what they would.
 *
 *   node --test e2e/api-server/operator-pods.api-test.ts
 */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { PROJECT } from "../runner/run-tests.ts";
import { eventually, kubectl } from "./api-clients.ts";

const NAMESPACE = ["-n", "trigon-system"];
/** Zone `a` has more room, so only the constraints lead a pod to zone `b`. */
const NODES = { "a-1": "16", "a-2": "16", "b-1": "1" };

interface Pod {
  metadata: { name: string };
  spec: { nodeName?: string };
}

let plane: ControlPlane;
let directory: string;

before(async () => {
  plane = await startControlPlane({ controllers: true });
  directory = await mkdtemp(join(tmpdir(), "trigon-operator-pods-"));
  await kubectl(plane, "create", "namespace", "trigon-system");
  await eventually(() => kubectl(plane, "get", "serviceaccount", "default", ...NAMESPACE));
  for (const [name, cpu] of Object.entries(NODES)) await createNode(name, cpu);
  await kubectl(plane, "apply", "--server-side", "-k", join(PROJECT, "manifests/overlays/default"));
});
after(async () => {
  await plane?.stop();
  await rm(directory, { recursive: true, force: true });
});

async function createNode(name: string, cpu: string): Promise<void> {
  const labels = {
    "kubernetes.io/os": "linux",
    "kubernetes.io/hostname": name,
    "topology.kubernetes.io/zone": name.slice(0, 1),
  };
  await create({ apiVersion: "v1", kind: "Node", metadata: { name, labels } });
  const now = new Date().toISOString().replace(/\.\d+/, "");
  const times = { lastHeartbeatTime: now, lastTransitionTime: now };
  const ready = { type: "Ready", status: "True", reason: "KubeletReady", message: "", ...times };
  const room = { cpu, memory: "16Gi", pods: "110" };
  await patchStatus(`node/${name}`, { capacity: room, allocatable: room, conditions: [ready] });
}

async function create(object: object): Promise<void> {
  const file = join(directory, "object.json");
  await writeFile(file, JSON.stringify(object));
  await kubectl(plane, "create", "-f", file);
}

function patchStatus(name: string, status: object, ...flags: string[]): Promise<string> {
  const patch = JSON.stringify({ status });
  return kubectl(plane, "patch", name, "--subresource=status", "--type=merge", "-p", patch, ...flags);
}

async function operatorPods(): Promise<Pod[]> {
  const selector = ["-l", "app.kubernetes.io/component=operator"];
  const list = await kubectl(plane, "get", "pods", ...NAMESPACE, ...selector, "-o", "json");
  return (JSON.parse(list) as { items: Pod[] }).items;
}

test("two replicas land in different zones, although one zone has more room", async () => {
  await eventually(async () => {
    const nodes = (await operatorPods()).map(({ spec }) => spec.nodeName ?? "none");
    assert.deepEqual(nodes.map((name) => name.slice(0, 1)).sort(), ["a", "b"], nodes.join(" "));
  });
});

test("one of two that are ready may be evicted, and not the other before there are two again", async () => {
  const pods = await operatorPods();
  for (const { metadata } of pods) {
    const conditions = [{ type: "Ready", status: "True" }];
    await patchStatus(`pod/${metadata.name}`, { phase: "Running", conditions }, ...NAMESPACE);
  }
  const budget = ["get", "poddisruptionbudget", "trigon-operator", ...NAMESPACE, "-o"];
  const fields = "{.status.expectedPods} {.status.currentHealthy} {.status.disruptionsAllowed}";
  await eventually(async () => assert.equal(await kubectl(plane, ...budget, `jsonpath=${fields}`), "2 2 1"));
  const [first, second] = pods.map(({ metadata }) => metadata.name);
  await evict(first);
  await assert.rejects(evict(second), /violate the pod's disruption budget/);
});

async function evict(name = ""): Promise<void> {
  const file = join(directory, "eviction.json");
  const metadata = { name, namespace: "trigon-system" };
  await writeFile(file, JSON.stringify({ apiVersion: "policy/v1", kind: "Eviction", metadata }));
  const path = `/api/v1/namespaces/trigon-system/pods/${name}/eviction`;
  await kubectl(plane, "create", "--raw", path, "-f", file);
}
