/**
 * Two replicas of the operator as processes on a real API server: the leader's death costs seconds, and a leader that
 * was frozen for longer than its lease writes nothing when it goes on.
 *
 *   node --test e2e/api-server/leader.api-test.ts
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import type { KubeClient } from "../../lib/kube.ts";
import { exitOf } from "../../lib/testing/child-process.ts";
import { LEASE_TIMING } from "../../operator/cluster/lease.ts";
import { POLICY_RESOURCES, type PolicyObject } from "../../operator/resources.ts";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { applyCrds } from "../control-plane/crds.ts";
import { clientWith, eventually, kubectl, pause, serviceAccountToken } from "./api-clients.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const MANIFESTS = join(ROOT, "manifests/base");
const NAMESPACE = "trigon-system";
const USER = { fieldManager: "kubectl" };

let plane: ControlPlane;
let admin: KubeClient;
let token: string;
let directory: string;
let ca: Buffer;
const replicas: Replica[] = [];

before(async () => {
  plane = await startControlPlane();
  await applyCrds(plane);
  admin = await clientWith(plane, plane.adminToken, "trigon-test");
  for (const file of ["namespace.yaml", "operator-rbac.yaml"])
    await kubectl(plane, "apply", "-f", `${MANIFESTS}/${file}`);
  token = await serviceAccountToken(plane, NAMESPACE, "trigon-operator");
  ca = await readFile(plane.caFile);
  directory = await mkdtemp(join(tmpdir(), "trigon-leader-"));
});
after(async () => {
  for (const { child, proxy } of replicas) {
    child.kill("SIGKILL");
    proxy.closeAllConnections();
    proxy.close();
  }
  await plane?.stop();
  await rm(directory, { recursive: true, force: true });
});

/** An operator, and a proxy before the API server that notes what it does. */
interface Replica {
  child: ChildProcess;
  proxy: http.Server;
  /** Other than those of the lease. */
  writes: { at: number; what: string }[];
  /** Whether it has been given the lease to read. */
  hasReadLease: boolean;
}

async function startReplica(name: string): Promise<Replica> {
  const seen: Pick<Replica, "writes" | "hasReadLease"> = { writes: [], hasReadLease: false };
  const proxy = http.createServer((request, response) => {
    const { method = "", url = "" } = request;
    const isLease = url.includes("/leases");
    if (method !== "GET" && !isLease) seen.writes.push({ at: Date.now(), what: `${method} ${url}` });
    const onward = https.request(
      new URL(url, plane.url),
      { method, headers: request.headers, ca },
      (answer) => {
        if (isLease && method === "GET") seen.hasReadLease = true;
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((listening) => proxy.listen(0, "127.0.0.1", listening));
  const { port } = proxy.address() as AddressInfo;
  const kubeconfig = join(directory, `${name}.json`);
  await writeFile(kubeconfig, JSON.stringify(kubeconfigOf(`http://127.0.0.1:${port}`)));
  const args = [
    join(ROOT, "operator/main.ts"),
    "--kubeconfig",
    kubeconfig,
    "--metrics-server",
    "127.0.0.1:0",
  ];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, POD_NAME: name, POD_NAMESPACE: NAMESPACE },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const replica = Object.assign(seen, { child, proxy });
  replicas.push(replica);
  return replica;
}

function kubeconfigOf(server: string): object {
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: "u", user: { token } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  };
}

async function holder(): Promise<string> {
  const lease = JSON.parse(
    await kubectl(plane, "get", "lease", "trigon-operator", "-n", NAMESPACE, "-o", "json"),
  );
  return lease.spec.holderIdentity as string;
}

async function editPolicy(argument: number): Promise<void> {
  const kprobes = [
    { call: "sys_setuid", syscall: true, args: [{ index: 0, type: "int", label: `l${argument}` }] },
  ];
  const policy = { kind: "TracingPolicy" as const, metadata: { name: "a" }, spec: { kprobes } };
  await admin.apply<PolicyObject>(POLICY_RESOURCES.TracingPolicy, policy, USER);
}

test("one replica leads; when it is frozen the other takes over, and it ends without a write when it goes on", async () => {
  const first = await startReplica("first");
  await eventually(async () => assert.match(await holder(), /^first_/));
  const second = await startReplica("second");
  await editPolicy(0);
  // What is on its way already cannot be held back, and the Event of the status comes last.
  await eventually(() => assert.ok(first.writes.some(({ what }) => what.includes("/events"))));
  await pause(500);
  first.child.kill("SIGSTOP");
  const frozenAt = Date.now();
  await editPolicy(1); // an event that waits in the frozen one's sockets
  await eventually(() => assert.notEqual(second.writes.length, 0));
  assert.match(await holder(), /^second_/);
  const tookMs = Date.now() - frozenAt;
  assert.ok(tookMs < 20_000, `took over after ${tookMs} ms`);
  assert.ok(
    first.writes.every(({ at }) => at < (second.writes[0]?.at ?? 0)),
    "two have written at once",
  );

  const before = first.writes.length;
  first.child.kill("SIGCONT");
  assert.equal((await exitOf(first.child))[0], 1);
  await pause(500);
  assert.deepEqual(first.writes.slice(before), []);
});

test("a leader that is stopped gives the lease back, and the next one begins before it would have ended", async () => {
  const [, second] = replicas;
  const third = await startReplica("third");
  await eventually(() => assert.ok(third.hasReadLease));
  assert.ok(second);
  second.child.kill("SIGTERM");
  assert.equal((await exitOf(second.child))[0], 0);
  const stoppedAt = Date.now();
  await editPolicy(2);
  await eventually(() => assert.notEqual(third.writes.length, 0));
  assert.ok(Date.now() - stoppedAt < LEASE_TIMING.durationMs, `${Date.now() - stoppedAt} ms`);
});
