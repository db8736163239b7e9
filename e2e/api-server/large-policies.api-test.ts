/**
 * The operator as in the image, while the largest policies come: it goes on answering /healthz, which the kubelet asks.
 *
 *   node --test e2e/api-server/large-policies.api-test.ts
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { parse } from "yaml";
import { LABELS } from "../../crds/names.ts";
import type { KubeClient } from "../../lib/kube.ts";
import { CONFIG_MAPS } from "../../lib/resources.ts";
import { exitOf } from "../../lib/testing/child-process.ts";
import { POLICY_RESOURCES, type PolicyObject } from "../../operator/resources.ts";
import { conditionOf } from "../../operator/status/policy-status.ts";
import { makeLargePolicy, makeWrongPolicy } from "../../operator/testing/large-policies.ts";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { applyCrds } from "../control-plane/crds.ts";
import { bundlePrograms } from "../image/bundle.ts";
import { clientWith, eventually, freePort, kubectl, pause } from "./api-clients.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const IMAGE = join(ROOT, "build/large-policies");
const NAMESPACE = "trigon-system";
const POLICIES = POLICY_RESOURCES.TracingPolicy;
const USER = { fieldManager: "kubectl" };
const COUNT = 8;

let plane: ControlPlane;
let admin: KubeClient;
let operator: ChildProcess;
let port: number;

before(async () => {
  await bundlePrograms(ROOT, IMAGE);
  plane = await startControlPlane();
  await applyCrds(plane);
  admin = await clientWith(plane, plane.adminToken, "trigon-test");
  await kubectl(plane, "apply", "-f", join(ROOT, "manifests/base/namespace.yaml"));
  port = await freePort();
});
after(async () => {
  operator?.kill("SIGKILL");
  await plane?.stop();
  await rm(IMAGE, { recursive: true, force: true });
});

/** The operator's container, of which the flags and the memory limit count here. */
async function container(): Promise<{ command: string[]; resources: { limits: { memory: string } } }> {
  const manifest = parse(await readFile(join(ROOT, "manifests/base/operator-deployment.yaml"), "utf8"));
  return manifest.spec.template.spec.containers[0];
}

async function startOperator(): Promise<void> {
  const flags = (await container()).command.slice(1, -1);
  const args = [...flags, join(IMAGE, "operator/main.js"), "--kubeconfig", plane.kubeconfigPath];
  operator = spawn(process.execPath, [...args, "--metrics-server", `127.0.0.1:${port}`], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, POD_NAMESPACE: NAMESPACE },
  });
  await eventually(async () => assert.ok(await askHealth(), "the operator answers"));
}

/** Milliseconds until the answer; undefined without one. */
async function askHealth(): Promise<number | undefined> {
  const askedAt = performance.now();
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined);
  return answer?.status === 200 ? performance.now() - askedAt : undefined;
}

/** Asks /healthz all the time, as long as the work lasts. */
async function askingDuring(work: Promise<unknown>): Promise<{ delays: number[]; missing: number }> {
  const delays: number[] = [];
  let missing = 0;
  let isOver = false;
  const ended = work.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const delay = await askHealth();
    if (delay === undefined) missing++;
    else delays.push(delay);
    await Promise.race([ended, pause(20)]);
  }
  return { delays, missing };
}

async function applyAll(make: typeof makeLargePolicy, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const { spec } = make(name);
    const policy = { apiVersion: "cilium.io/v1alpha1", kind: "TracingPolicy", metadata: { name }, spec };
    await admin.create(POLICIES, policy, USER);
  }
}

async function reasonOf(name: string): Promise<string | undefined> {
  const policy = await admin.get<PolicyObject>(POLICIES, { name });
  return conditionOf(policy?.status?.conditions, "Ready")?.reason;
}

async function peakMiB(): Promise<number> {
  const text = await readFile(`/proc/${operator.pid}/status`, "utf8");
  return Math.round(Number(/VmHWM:\s*(\d+)/.exec(text)?.[1]) / 1024);
}

const names = (kind: string) => Array.from({ length: COUNT }, (_, n) => `${kind}-${n}`);
const median = (sorted: readonly number[]) => Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0);

async function report(what: string, delays: number[]): Promise<void> {
  const mib = await peakMiB();
  const limit = (await container()).resources.limits.memory;
  assert.ok(mib < Number(/^(\d+)Mi$/.exec(limit)?.[1]), `${mib} MiB; the container is killed at ${limit}`);
  const sorted = delays.toSorted((a, b) => a - b);
  const longest = Math.round(sorted.at(-1) ?? 0);
  console.log(
    `${what}: ${delays.length} answers, median ${median(sorted)} ms, longest ${longest} ms; peak ${mib} MiB`,
  );
}

/** The largest gap in the answers takes less than this share of the work, however slow the machine is. */
const MOST_OF_THE_WORK = 0.25;

function assertAnswered({ delays, missing }: { delays: number[]; missing: number }, elapsedMs: number): void {
  assert.equal(missing, 0, "every question got its answer");
  assert.ok(delays.length > COUNT, `${delays.length} answers`);
  assert.ok(Math.max(...delays) < MOST_OF_THE_WORK * elapsedMs, `${Math.max(...delays)} of ${elapsedMs} ms`);
}

describe("/healthz is answered", () => {
  test("while eight policies of 850 KB that were there before are compiled at start", async () => {
    await applyAll(makeLargePolicy, names("large"));
    await startOperator();
    const since = performance.now();
    const asked = await askingDuring(
      eventually(async () => {
        const selector = { namespace: NAMESPACE, labelSelector: LABELS.policy };
        assert.equal((await admin.list(CONFIG_MAPS, selector)).length, COUNT);
      }),
    );
    await report("eight at start", asked.delays);
    assertAnswered(asked, performance.now() - since);
  });

  test("while eight of 850 KB come that are wrong in each entry", async () => {
    const since = performance.now();
    const asked = await askingDuring(
      (async () => {
        await applyAll(makeWrongPolicy, names("wrong"));
        for (const name of names("wrong"))
          await eventually(async () => assert.equal(await reasonOf(name), "InvalidSpec"));
      })(),
    );
    await report("eight wrong ones", asked.delays);
    assertAnswered(asked, performance.now() - since);
  });

  test("while a restarted operator reads the specs of all of them", async () => {
    operator.kill("SIGKILL");
    await exitOf(operator);
    await startOperator();
    const asked = await askingDuring(
      eventually(async () => {
        const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
        assert.match(metrics, new RegExp(`^trigon_operator_policies(\\{.*\\})? ${2 * COUNT}$`, "m"));
        for (const name of names("large")) assert.notEqual(await reasonOf(name), "DistributionFailed");
      }),
    );
    await report("a restart", asked.delays);
    assert.equal(asked.missing, 0);
    assert.ok(asked.delays.length > COUNT, `${asked.delays.length} answers`);
  });
});
