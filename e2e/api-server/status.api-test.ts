/**
 * `trigon status` as the image has it, joined into a few files, asked about a real API server.
 *
 *   node --test e2e/api-server/status.api-test.ts
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import type { KubeClient } from "../../lib/kube.ts";
import { createLogger } from "../../lib/logger.ts";
import { createRegistry } from "../../lib/metrics.ts";
import { compileAndEncode } from "../../operator/compiler/compiled.ts";
import { type Operator, startOperator } from "../../operator/operator.ts";
import { POLICY_RESOURCES, type PolicyObject } from "../../operator/resources.ts";
import { conditionOf } from "../../operator/status/policy-status.ts";
import { compilePolicy } from "../../policy/compile.ts";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { applyCrds } from "../control-plane/crds.ts";
import { bundlePrograms } from "../image/bundle.ts";
import { clientWith, eventually, kubectl, operatorClientWith } from "./api-clients.ts";
import { SimulatedAgent } from "./simulated-agent.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const NAMESPACE = "trigon-system";
const POLICIES = POLICY_RESOURCES.TracingPolicy;

let plane: ControlPlane;
let admin: KubeClient;
let operator: Operator;
let agent: SimulatedAgent;
let image: string;

before(async () => {
  image = await mkdtemp(join(ROOT, "build/image-"));
  await bundlePrograms(ROOT, image);
  for (const part of ["package.json", "proto"])
    await cp(join(ROOT, part), join(image, part), { recursive: true });
  plane = await startControlPlane();
  await applyCrds(plane);
  admin = await clientWith(plane, plane.adminToken, "trigon-test");
  for (const file of ["namespace.yaml", "operator-rbac.yaml", "agent-rbac.yaml"])
    await kubectl(plane, "apply", "-f", join(ROOT, "manifests/base", file));
  operator = startOperator({
    client: operatorClientWith(plane, plane.adminToken),
    compile: async (policy) => compileAndEncode(policy),
    namespace: NAMESPACE,
    instance: "test",
    logger: createLogger({ component: "operator", level: "error" }),
    registry: createRegistry({ component: "operator", version: "test", defaultMetrics: false }),
  });
  await operator.started;
  agent = new SimulatedAgent(admin, NAMESPACE, "node-a");
});
after(async () => {
  await operator?.stop();
  await plane?.stop();
  await rm(image, { recursive: true });
});

async function status(...flags: string[]) {
  const args = [join(image, "cli/main.js"), "status", "--kubeconfig", plane.kubeconfigPath, ...flags];
  const command = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  command.stdout.on("data", (text) => (output.stdout += text));
  command.stderr.on("data", (text) => (output.stderr += text));
  const [code] = (await once(command, "close")) as [number];
  return { code, ...output };
}

function applyPolicy(index: number): Promise<unknown> {
  const args = [{ index, type: "int" }];
  const policy = {
    metadata: { name: "setuid" },
    spec: { kprobes: [{ call: "sys_setuid", syscall: true, args }] },
  };
  return admin.apply(POLICIES, policy as unknown as PolicyObject, { fieldManager: "trigon-test" });
}

test("without an agent it is not ready", async () => {
  const { code, stdout, stderr } = await status();
  assert.deepEqual([code, stderr], [1, ""]);
  assert.match(stdout, /no policies|no nodes|no agent/i);
});

test("a policy that does not compile is shown with field and reason", async () => {
  await agent.start();
  await agent.report();
  await applyPolicy(9);
  await eventually(async () => {
    const policy = await admin.get<PolicyObject>(POLICIES, { name: "setuid" });
    assert.equal(conditionOf(policy.status?.conditions, "Ready")?.reason, "InvalidSpec");
  });
  const { code, stdout } = await status("--wait", "1s");
  assert.equal(code, 1);
  assert.match(stdout, /setuid/);
  assert.match(stdout, /spec\.kprobes\[0\]\.args\[0\]\.index: /);
  const { policies, nodes, ready } = JSON.parse((await status("-o", "json")).stdout);
  assert.deepEqual([policies.length, nodes.length, ready], [1, 1, false]);
});

test("a script waits until every policy is ready", async () => {
  await applyPolicy(0);
  const waiting = status("--wait", "2m");
  const hash = await specHash();
  const ref = { kind: "TracingPolicy" as const, name: "setuid" };
  await agent.report({ ref, specHash: hash, attachedHash: hash, state: "Attached", calls: ["sys_setuid"] });
  const { code, stdout, stderr } = await waiting;
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /node-a/);
});

/** Of the policy as the API server has it, with all defaults. */
async function specHash(): Promise<string> {
  const compiled = compilePolicy(await admin.get(POLICIES, { name: "setuid" }));
  assert.ok(compiled.ok);
  return compiled.hash;
}

test("a kubeconfig that is not there is a usage error", async () => {
  const { code, stderr } = await status("--kubeconfig", "/nowhere");
  assert.deepEqual([code, stderr], [2, "trigon: --kubeconfig: there is no file /nowhere\n"]);
});
