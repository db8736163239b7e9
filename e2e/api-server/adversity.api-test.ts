/**
 * What may happen to an installation: a definition or a right is missing, namespaces are deleted while policies run, and
 * hundreds of policies come at once. The operator is a process with the rights of its account; the agents are simulated.
 *
 *   node --test e2e/api-server/adversity.api-test.ts
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { LABELS, type PolicyKind } from "../../crds/names.ts";
import type { KubeClient } from "../../lib/kube.ts";
import { CONFIG_MAPS, type KubeObject } from "../../lib/resources.ts";
import { exitOf } from "../../lib/testing/child-process.ts";
import { POLICY_RESOURCES, type PolicyObject } from "../../operator/resources.ts";
import { conditionOf } from "../../operator/status/policy-status.ts";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { PROJECT } from "../runner/run-tests.ts";
import { clientWith, eventually, freePort, kubectl, serviceAccountToken } from "./api-clients.ts";
import { SimulatedAgent } from "./simulated-agent.ts";

const NAMESPACE = "trigon-system";
const MANIFESTS = join(PROJECT, "manifests/base");
const CRDS = ["tracingpolicies", "tracingpoliciesnamespaced", "tracingnodes"];
const MANY = 200;
/** As long as it takes on a machine that is busy with other tests. */
const patiently = <T>(check: () => T | Promise<T>) => eventually(check, 300_000);

let plane: ControlPlane;
let admin: KubeClient;
let directory: string;
let operator: Operator;

before(async () => {
  plane = await startControlPlane({ controllers: true });
  admin = await clientWith(plane, plane.adminToken, "trigon-test");
  directory = await mkdtemp(join(tmpdir(), "trigon-adversity-"));
});
after(async () => {
  await plane?.stop();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  await install();
  operator = await startOperator();
});
afterEach(async () => {
  for (const kind of ["TracingPolicy", "TracingPolicyNamespaced"] as const)
    for (const { metadata } of await admin.list(POLICY_RESOURCES[kind]))
      await admin.delete(POLICY_RESOURCES[kind], metadata);
  await operator.stop();
  await kubectl(plane, "delete", "tracingnodes", "--all");
  await kubectl(plane, "delete", "pods", "--all", "-n", NAMESPACE, "--force");
  await kubectl(plane, "delete", "configmaps", "-n", NAMESPACE, "-l", LABELS.policy);
});

async function install(): Promise<void> {
  for (const name of CRDS) await kubectl(plane, "apply", "--server-side", "-f", crd(name));
  await kubectl(plane, "wait", "--for=condition=Established", ...CRDS.flatMap((name) => ["-f", crd(name)]));
  for (const file of ["namespace", "operator-rbac", "agent-rbac"])
    await kubectl(plane, "apply", "--server-side", "--force-conflicts", "-f", `${MANIFESTS}/${file}.yaml`);
}

const crd = (name: string) => join(PROJECT, `crds/${name}.yaml`);

interface Operator {
  log(): string;
  /** Lines of /readyz. */
  readyz(): Promise<string>;
  stop(): Promise<void>;
}

async function startOperator(): Promise<Operator> {
  const token = await serviceAccountToken(plane, NAMESPACE, "trigon-operator");
  const kubeconfig = join(directory, "kubeconfig.json");
  const cluster = { server: plane.url, "certificate-authority": plane.caFile };
  const config = {
    ...{ apiVersion: "v1", kind: "Config", "current-context": "x" },
    clusters: [{ name: "c", cluster }],
    users: [{ name: "u", user: { token } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
  };
  await writeFile(kubeconfig, JSON.stringify(config));
  const address = `127.0.0.1:${await freePort()}`;
  const program = join(PROJECT, "operator/main.ts");
  const args = [program, "--kubeconfig", kubeconfig, "--metrics-server", address];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, POD_NAMESPACE: NAMESPACE },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  return {
    log: () => log,
    readyz: async () => (await fetch(`http://${address}/readyz`)).text(),
    stop: async () => {
      child.kill("SIGTERM");
      await exitOf(child);
    },
  };
}

function manifest(name: string, kind: PolicyKind = "TracingPolicy", namespace?: string): object {
  const kprobes = [{ call: "sys_setuid", syscall: true, args: [{ index: 0, type: "int" }] }];
  const metadata = { name, ...(namespace !== undefined && { namespace }) };
  return { apiVersion: "cilium.io/v1alpha1", kind, metadata, spec: { kprobes } };
}

async function apply(...objects: object[]): Promise<void> {
  const file = join(directory, "objects.json");
  await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
  await kubectl(plane, "apply", "-f", file);
}

/** Waits until Ready of a policy is this; returns its message. */
function readyIs(name: string, reason: string): Promise<string> {
  return patiently(async () => {
    const policy = await admin.get<PolicyObject>(POLICY_RESOURCES.TracingPolicy, { name });
    const ready = conditionOf(policy.status?.conditions, "Ready");
    assert.equal(ready?.reason, reason, `${ready?.message}\n${operator.log()}`);
    return ready?.message ?? "";
  });
}

async function specs(): Promise<KubeObject[]> {
  return admin.list(CONFIG_MAPS, { namespace: NAMESPACE, labelSelector: LABELS.policy });
}

/** A node that runs all that is distributed. */
async function reportAll(agent: SimulatedAgent): Promise<void> {
  const reports = (await specs()).map(({ metadata }) => {
    const [kind = "", namespace, name] = partsOf(metadata.annotations?.[LABELS.policyKey] ?? "");
    const specHash = metadata.labels?.[LABELS.specHash] ?? "";
    const ref = { kind: kind as PolicyKind, name: name ?? "", ...(namespace !== undefined && { namespace }) };
    return { ref, specHash, attachedHash: specHash, state: "Attached" as const, calls: ["sys_setuid"] };
  });
  await agent.report(...reports);
}

function partsOf(
  key: string,
): [kind: string | undefined, namespace: string | undefined, name: string | undefined] {
  const parts = key.split("/");
  return parts.length === 3 ? [parts[0], parts[1], parts[2]] : [parts[0], undefined, parts[1]];
}

async function startAgent(node = "node-a"): Promise<SimulatedAgent> {
  const agent = new SimulatedAgent(admin, NAMESPACE, node);
  await agent.start();
  return agent;
}

test("without the definition of TracingNodes every policy says so, and recovers when it is there", async () => {
  await kubectl(plane, "delete", "crd", "tracingnodes.trigon.dev");
  await apply(manifest("a"));
  assert.match(
    await readyIs("a", "ReportsMissing"),
    /tracingnodes\.trigon\.dev is not installed.+install it/,
  );
  assert.match(await operator.readyz(), /\[-\] tracingnodes: .*404/);
  await kubectl(plane, "apply", "--server-side", "-f", crd("tracingnodes"));
  await readyIs("a", "NoNodes");
});

const RIGHTS: Record<string, { role: string; rule: RegExp; where: "log" | "readyz"; shown: RegExp }> = {
  "to read reports": {
    role: "clusterrole/trigon-operator",
    rule: /^tracingnodes$/,
    where: "readyz",
    shown: /\[-\] tracingnodes: .*forbidden.*cannot (list|watch) resource "tracingnodes"/,
  },
  "to read the pods of the agents": {
    role: "role/trigon-operator",
    rule: /^pods$/,
    where: "readyz",
    shown: /\[-\] pods: .*forbidden.*cannot (list|watch) resource "pods"/,
  },
  "to write a status": {
    role: "clusterrole/trigon-operator",
    rule: /^tracingpolicies\/status$/,
    where: "log",
    shown: /write the status of tracingpolicies a: .*forbidden/,
  },
};

for (const [what, { role, rule, where, shown }] of Object.entries(RIGHTS)) {
  test(`without the right ${what} the ${where} names it, and it goes on once it is there`, async () => {
    await operator.stop();
    await removeRule(role, rule);
    operator = await startOperator();
    await apply(manifest("a"));
    const look = async () => (where === "log" ? operator.log() : operator.readyz());
    await patiently(async () => assert.match(await look(), shown));
    await install();
    await readyIs("a", "NoNodes");
  });
}

async function removeRule(role: string, resource: RegExp): Promise<void> {
  const namespace = role.startsWith("role/") ? ["-n", NAMESPACE] : [];
  const found = JSON.parse(await kubectl(plane, "get", role, ...namespace, "-o", "json")) as {
    rules: { resources: string[] }[];
  };
  const index = found.rules.findIndex(({ resources }) => resources.some((name) => resource.test(name)));
  assert.notEqual(index, -1);
  const patch = JSON.stringify([{ op: "remove", path: `/rules/${index}` }]);
  await kubectl(plane, "patch", role, ...namespace, "--type=json", "-p", patch);
}

test("without the right to write hook specs every policy says so, and recovers when it is there", async () => {
  await operator.stop();
  await removeRule("role/trigon-operator", /^configmaps$/);
  await kubectl(plane, ...CONFIG_MAP_READER);
  await kubectl(plane, ...CONFIG_MAP_BINDING);
  operator = await startOperator();
  await apply(manifest("a"));
  assert.match(await readyIs("a", "DistributionFailed"), /forbidden.*cannot create resource "configmaps"/);
  await install();
  await readyIs("a", "NoNodes");
});

const CONFIG_MAP_READER = [
  "create",
  "role",
  "reader",
  "-n",
  NAMESPACE,
  "--verb=list,watch,get",
  "--resource=configmaps",
];
const CONFIG_MAP_BINDING = [
  ...["create", "rolebinding", "reader", "-n", NAMESPACE, "--role=reader"],
  `--serviceaccount=${NAMESPACE}:trigon-operator`,
];

test(`${MANY} policies that are applied at once are all distributed, and Ready after one report`, async () => {
  const agent = await startAgent();
  const names = Array.from({ length: MANY }, (_, index) => `policy-${index}`);
  await apply(...names.map((name) => manifest(name)));
  await patiently(async () => assert.equal((await specs()).length, MANY));
  await reportAll(agent);
  await kubectl(plane, "wait", "--for=condition=Ready", "--timeout=300s", "tracingpolicies", "--all");
  for (const name of names) await admin.delete(POLICY_RESOURCES.TracingPolicy, { name });
  await agent.report();
  await patiently(async () => assert.deepEqual(await specs(), []));
});

test("a user's namespace that is deleted takes its policies with it, and no other", async () => {
  const agent = await startAgent();
  await kubectl(plane, "create", "namespace", "shop");
  await apply(manifest("a"), manifest("a", "TracingPolicyNamespaced", "shop"));
  await patiently(async () => assert.equal((await specs()).length, 2));
  await reportAll(agent);
  await kubectl(
    plane,
    "wait",
    "--for=condition=Ready",
    "--timeout=300s",
    "tracingpolicynamespaced/a",
    "-n",
    "shop",
  );
  await kubectl(plane, "delete", "namespace", "shop", "--timeout=300s");
  await patiently(async () => {
    const left = (await specs()).filter(({ metadata }) => metadata.labels?.[LABELS.retired] === undefined);
    assert.deepEqual(
      left.map(({ metadata }) => metadata.annotations?.[LABELS.policyKey]),
      ["TracingPolicy/a"],
    );
  });
  await readyIs("a", "Attached");
});

test("a deleted installation ends, and its policies run again after the next one", async () => {
  let agent = await startAgent();
  await apply(manifest("a"));
  await patiently(async () => assert.equal((await specs()).length, 1));
  await reportAll(agent);
  await readyIs("a", "Attached");
  // Kubelets end the pods; here the operator goes on for as long as the namespace ends.
  await kubectl(plane, "delete", "namespace", NAMESPACE, "--timeout=300s");
  await operator.stop();
  await install();
  operator = await startOperator();
  // Pods of a node that does not exist are removed, from the second one on at once: by that the namespace ended.
  await apply({ apiVersion: "v1", kind: "Node", metadata: { name: "node-b" } });
  agent = await startAgent("node-b");
  await patiently(async () => assert.equal((await specs()).length, 1));
  await reportAll(agent);
  await readyIs("a", "Attached");
});
