/**
 * The agent's side of the API, with the service account and the rights that manifests/base gives it: hook specs come
 * in, the TracingNode goes out, through restarts and failures.
 *
 *   node --test e2e/api-server/agent.api-test.ts
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { Cluster } from "../../agent/cluster.ts";
import { makePodClient } from "../../agent/pods/pod-client.ts";
import { PodStore } from "../../agent/pods/pod-store.ts";
import type { ConfigMap } from "../../agent/policies/sources/candidates.ts";
import { makeHookSpec } from "../../agent/policies/testing/policies.ts";
import { ClusterSize } from "../../agent/status/cluster-size.ts";
import { makeTracingNodeStatus, type TracingNodeStatus } from "../../agent/status/tracing-node.ts";
import type { HookSpec } from "../../crds/hook-spec.ts";
import { encodeHookSpec, hookSpecHash } from "../../crds/hook-spec-codec.ts";
import {
  FIELD_MANAGERS,
  HOOK_SPEC_KEYS,
  hookSpecConfigMapName,
  LABELS,
  MANAGED_BY_OPERATOR,
  policyKey,
  policyLabelValue,
  SPECS_FOR_SOME_NODES,
  TRACING_NODES,
} from "../../crds/names.ts";
import type { ClusterAccess } from "../../lib/cluster-access.ts";
import { KubeClient } from "../../lib/kube.ts";
import { createLogger } from "../../lib/logger.ts";
import { createRegistry, createWatchMetrics } from "../../lib/metrics.ts";
import { CONFIG_MAPS, type KubeObject, NODES, PODS } from "../../lib/resources.ts";
import { specMetadata } from "../../operator/distribute/config-map.ts";
import { SET_ID_CALLS } from "../../policy/testing/set-id-calls.ts";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { applyCrds } from "../control-plane/crds.ts";
import { runProgram } from "../guest/program.ts";
import { eventually, pause, serviceAccountToken } from "./api-clients.ts";

const NAMESPACE = "trigon-system";
const NODE = "node-1";
const KEY = "TracingPolicy/p";
const MANIFESTS = resolve(import.meta.dirname, "../../manifests/base");
const OPERATOR = { fieldManager: FIELD_MANAGERS.operator };

type TracingNode = KubeObject & { status?: TracingNodeStatus };

let plane: ControlPlane;
let admin: KubeClient;
let token: string;
let cluster: Cluster;

before(async () => {
  plane = await startControlPlane();
  await applyCrds(plane);
  admin = await client(plane.adminToken);
  for (const file of ["namespace.yaml", "agent-rbac.yaml", "tracingnode-guard.yaml"])
    await kubectl("apply", "-f", `${MANIFESTS}/${file}`);
  for (const name of [NODE, "node-2"]) await admin.create(NODES, { metadata: { name } }, OPERATOR);
  token = await agentToken(NODE);
});
after(() => plane?.stop());

beforeEach(async () => {
  cluster = await makeCluster(token);
  cluster.start();
});
afterEach(async () => {
  await cluster.stop();
  for (const { metadata } of await admin.list(CONFIG_MAPS, {
    namespace: NAMESPACE,
    labelSelector: LABELS.policy,
  })) {
    await admin.delete(CONFIG_MAPS, metadata);
  }
});

/** The token that a pod of the agent would have on a node. */
async function agentToken(node: string, namespace = NAMESPACE): Promise<string> {
  const bound = ["--bound-object-kind=Node", `--bound-object-name=${node}`];
  const text = await kubectl("create", "token", "trigon-agent", "--namespace", namespace, ...bound);
  return text.trim();
}

const USER_AGENT = { userAgent: "trigon-agent/test" };

async function client(bearer: string): Promise<KubeClient> {
  return new KubeClient(await accessWith(bearer), USER_AGENT);
}

async function accessWith(bearer: string): Promise<ClusterAccess> {
  return {
    server: new URL(plane.url),
    tls: { ca: await readFile(plane.caFile) },
    authorize: async () => ({ authorization: `Bearer ${bearer}` }),
  };
}

async function makeCluster(bearer: string, nodeName = NODE, podStore = new PodStore()): Promise<Cluster> {
  const logger = createLogger({ component: "agent", level: "error" });
  const metrics = createWatchMetrics(
    createRegistry({ component: "agent", version: "test", defaultMetrics: false }),
  );
  return new Cluster({
    client: await client(bearer),
    podClient: makePodClient(await accessWith(bearer), USER_AGENT, nodeName),
    nodeName,
    namespace: NAMESPACE,
    podStore,
    logger,
    metrics,
  });
}

function kubectl(...args: string[]): Promise<string> {
  return runProgram(plane.binaries.kubectl, ["--kubeconfig", plane.kubeconfigPath, ...args]);
}

const specA = makeHookSpec("p", ["sys_setuid"]);
const specB = makeHookSpec("p", ["sys_setgid"]);

function makeConfigMap(spec: HookSpec, revision: number, json = encodeHookSpec(spec)): ConfigMap {
  const labels = { [LABELS.managedBy]: MANAGED_BY_OPERATOR, [LABELS.policy]: policyLabelValue(spec.policy) };
  const annotations = { [LABELS.policyKey]: policyKey(spec.policy), [LABELS.revision]: String(revision) };
  const name = hookSpecConfigMapName(hookSpecHash(spec));
  return {
    metadata: { name, namespace: NAMESPACE, labels, annotations },
    data: { [HOOK_SPEC_KEYS.json]: json },
  };
}

const applyConfigMap = (configMap: ConfigMap) => admin.apply(CONFIG_MAPS, configMap, OPERATOR);

function wanted(): string | undefined {
  const policy = cluster.source.desired()?.get(KEY);
  if (!policy) return undefined;
  if ("spec" in policy) return policy.spec.hooks[0]?.call;
  return "problem" in policy ? policy.problem : "unread";
}

describe("hook specs", () => {
  test("come, change with the highest revision, and go when they are retired", async () => {
    await applyConfigMap(makeConfigMap(specA, 1));
    await eventually(() => assert.equal(wanted(), "sys_setuid"));
    await applyConfigMap(makeConfigMap(specB, 2));
    await eventually(() => assert.equal(wanted(), "sys_setgid"));
    await applyConfigMap(makeConfigMap(specA, 3));
    await eventually(() => assert.equal(wanted(), "sys_setuid"));
    for (const spec of [specA, specB]) {
      const configMap = makeConfigMap(spec, 9);
      await applyConfigMap({
        ...configMap,
        metadata: {
          ...configMap.metadata,
          labels: { ...configMap.metadata.labels, [LABELS.retired]: "true" },
        },
      });
    }
    await pause(500);
    assert.notEqual(wanted(), undefined, "a label alone may be a person's");
    for (const spec of [specA, specB]) await admin.delete(CONFIG_MAPS, makeConfigMap(spec, 9).metadata);
    await eventually(() => assert.equal(wanted(), undefined));
  });

  test("that were edited by hand are a problem that names the ConfigMap", async () => {
    await applyConfigMap(makeConfigMap(specA, 1, encodeHookSpec(specB)));
    await eventually(() => assert.match(wanted() ?? "", /^ConfigMap trigon-spec-\w+ was changed by hand/));
  });

  test("are followed through a restart of the API server", async () => {
    await applyConfigMap(makeConfigMap(specA, 1));
    await eventually(() => assert.equal(wanted(), "sys_setuid"));
    await plane.restartApiServer();
    await applyConfigMap(makeConfigMap(specB, 2));
    await eventually(() => assert.equal(wanted(), "sys_setgid"));
    // An API server that has just started may refuse requests until it has read the RBAC rules.
    await eventually(() => assert.equal(cluster.problem, undefined));
  });

  test("of other namespaces are ignored", async () => {
    await applyConfigMap(makeConfigMap(specA, 1));
    await eventually(() => assert.equal(wanted(), "sys_setuid"));
    const agent = await client(token);
    await assert.rejects(agent.list(CONFIG_MAPS, { namespace: "default" }), { status: 403 });
  });
});

describe("hook specs with a nodeSelector", () => {
  const gpu = makeHookSpec("p", ["sys_setgid"], { nodeSelector: { matchLabels: { gpu: "yes" } } });
  const makeSelected = (spec: HookSpec, revision: number): ConfigMap => {
    const configMap = makeConfigMap(spec, revision);
    const selected = specMetadata(spec, hookSpecHash(spec), revision, 1);
    return { ...configMap, metadata: { ...configMap.metadata, ...selected } };
  };
  afterEach(async () => void (await kubectl("label", "node", NODE, "gpu-")));

  test("are read only once the node is selected", async () => {
    await applyConfigMap(makeSelected(gpu, 1));
    await eventually(() => assert.equal(wanted(), "unread"));
    await kubectl("label", "node", NODE, "gpu=yes");
    await eventually(() => assert.equal(wanted(), "sys_setgid"));
    await admin.delete(CONFIG_MAPS, makeSelected(gpu, 1).metadata);
    await pause(500);
    assert.equal(wanted(), "sys_setgid", "a deletion that was not announced");
  });

  test("replace one without, and are replaced by it", async () => {
    await applyConfigMap(makeConfigMap(specA, 1));
    await eventually(() => assert.equal(wanted(), "sys_setuid"));
    await applyConfigMap(makeSelected(gpu, 2));
    await eventually(() => assert.equal(wanted(), "unread"));
    await applyConfigMap(makeConfigMap(specA, 3));
    await eventually(() => assert.equal(wanted(), "sys_setuid"));
  });

  test("survive a label that is removed by hand and restored", async () => {
    await kubectl("label", "node", NODE, "gpu=yes");
    await applyConfigMap(makeSelected(gpu, 1));
    await eventually(() => assert.equal(wanted(), "sys_setgid"));
    for (const value of [null, "true"]) {
      const labels = { [LABELS.selectsNodes]: value };
      await admin.mergePatch(CONFIG_MAPS, makeSelected(gpu, 1).metadata, { metadata: { labels } }, OPERATOR);
      await pause(300);
      assert.equal(wanted(), "sys_setgid");
    }
  });

  test("cost a node that they leave out a part of their bytes", async (t) => {
    for (let i = 0; i < 20; i++) {
      const spec = makeHookSpec(
        `policy-${i}`,
        SET_ID_CALLS.map((call) => `sys_${call}`),
        gpu.nodeSelector && { nodeSelector: gpu.nodeSelector },
      );
      await applyConfigMap(makeSelected(spec, 1));
    }
    const path = `/api/v1/namespaces/${NAMESPACE}/configmaps`;
    const whole = { method: "GET" as const, path, query: { labelSelector: SPECS_FOR_SOME_NODES } };
    const accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    const before = (await admin.transport.send(whole)).text.length / 20;
    const now = (await admin.transport.send({ ...whole, headers: { accept } })).text.length / 20;
    t.diagnostic(`bytes for a spec of eight hooks: ${before} whole, ${now} of metadata`);
    assert.ok(now < before / 2, `${now} of ${before} bytes`);
  });
});

test("the labels of the node are read and kept up to date", async () => {
  await eventually(() => assert.deepEqual(cluster.labels(), {}));
  const changed = new Promise<void>((done) => cluster.onLabels(done));
  await kubectl("label", "node", NODE, "gpu=yes");
  await changed;
  assert.deepEqual(cluster.labels(), { gpu: "yes" });
  await kubectl("label", "node", NODE, "gpu-");
});

describe("pods", () => {
  const makePod = (name: string, nodeName: string) => ({
    metadata: { name, namespace: "default" },
    spec: {
      nodeName,
      containers: [{ name: "app", image: "app:1", env: [{ name: "PASSWORD", value: "secret" }] }],
    },
  });

  before(async () => {
    await kubectl("create", "serviceaccount", "default", "-n", "default");
    for (const pod of [makePod("here", NODE), makePod("there", "node-2")])
      await admin.create<KubeObject>(PODS, pod, OPERATOR);
  });

  test("of the agent's node are read, and its token reads no others", async () => {
    const store = new PodStore();
    const seen: string[] = [];
    store.onChange(({ metadata }) => seen.push(metadata.name));
    const here = await makeCluster(token, NODE, store);
    here.start();
    await eventually(() => assert.deepEqual(seen, ["here"]));
    await here.stop();
    const agent = await client(token);
    for (const fieldSelector of ["spec.nodeName=node-1", "spec.nodeName=node-2"])
      await assert.rejects(agent.list(PODS, { fieldSelector }), { status: 403 });
    const asOther = makePodClient(await accessWith(token), USER_AGENT, "node-2");
    await assert.rejects(asOther.list(PODS, { fieldSelector: "spec.nodeName=node-2" }), { status: 403 });
    const asOwn = makePodClient(await accessWith(token), USER_AGENT, NODE);
    await assert.rejects(asOwn.list(PODS), { status: 403 }, "all pods of the cluster");
    const secrets = { group: "", version: "v1", plural: "secrets", kind: "Secret", namespaced: true };
    await assert.rejects(asOwn.list(secrets, { namespace: "default" }), { status: 403 });
  });

  test("are read with rights for all nodes where the agent has these instead", async () => {
    const rights = ["--verb=list,watch", "--resource=pods"];
    await kubectl("create", "serviceaccount", "older", "-n", NAMESPACE);
    await kubectl("create", "clusterrole", "older", ...rights);
    await kubectl(
      "create",
      "clusterrolebinding",
      "older",
      "--clusterrole=older",
      `--serviceaccount=${NAMESPACE}:older`,
    );
    const bearer = (await kubectl("create", "token", "older", "-n", NAMESPACE)).trim();
    const older = makePodClient(await accessWith(bearer), USER_AGENT, NODE);
    const pods = await eventually(() =>
      older.list<KubeObject>(PODS, { fieldSelector: `spec.nodeName=${NODE}` }),
    );
    assert.deepEqual(
      pods.map(({ metadata }) => metadata.name),
      ["here"],
    );
  });
});

describe("the TracingNode", () => {
  const kernel = {
    release: "6.1.0",
    architecture: "x86_64",
    features: { fentry: true, bpfLsm: false },
    reasons: {},
  };

  function makeStatus(agentVersion: string, policies: string[] = []): TracingNodeStatus {
    const facts = { agentVersion, bootTime: "2026-11-24T20:00:00Z", kernel };
    const outcomes = policies.map((name) => ({
      ref: { kind: "TracingPolicy" as const, name },
      specHash: "abc",
      attachedHash: "abc",
      state: "Attached" as const,
      hooks: [
        {
          path: "spec.kprobes[0]",
          call: "commit_creds",
          state: "Attached" as const,
          attach: "fentry" as const,
        },
      ],
    }));
    return makeTracingNodeStatus(facts, outcomes);
  }

  const read = () => admin.find<TracingNode>(TRACING_NODES, { name: NODE });
  const written = (status: TracingNodeStatus) =>
    eventually(async () => assert.deepEqual((await read())?.status, status));

  test("is created for the node, owned by it, and has the status", async () => {
    cluster.publisher.publish(makeStatus("1", ["p", "q"]));
    await written(makeStatus("1", ["p", "q"]));
    const [owner] = (await read())?.metadata.ownerReferences ?? [];
    const node = await admin.get<KubeObject>(NODES, { name: NODE });
    assert.deepEqual(owner, { apiVersion: "v1", kind: "Node", name: NODE, uid: node.metadata.uid });
  });

  test("belongs to the new Node when the Node is deleted and created again", async () => {
    const node = { metadata: { name: "node-3" } };
    const of = async (uid: string | undefined) => {
      const found = await admin.get<TracingNode>(TRACING_NODES, node.metadata);
      assert.deepEqual(
        found.metadata.ownerReferences?.map((owner) => owner.uid),
        [uid],
      );
    };
    const first = await admin.create<KubeObject>(NODES, node, OPERATOR);
    const here = await makeCluster(plane.adminToken, "node-3");
    here.start();
    here.publisher.publish(makeStatus("1"));
    await eventually(() => of(first.metadata.uid));
    await eventually(() => assert.equal(here.problem, undefined));
    await admin.delete(NODES, node.metadata);
    const second = await admin.create<KubeObject>(NODES, node, OPERATOR);
    await eventually(() => of(second.metadata.uid));
    await here.stop();
  });

  test("loses entries of an earlier agent that this one does not write", async () => {
    cluster.publisher.publish(makeStatus("1", ["p", "q"]));
    await written(makeStatus("1", ["p", "q"]));
    await cluster.stop(); // it would put back what it has written
    const next = await makeCluster(token);
    next.publisher.publish(makeStatus("2", ["q"]));
    await written(makeStatus("2", ["q"]));
    await next.stop();
  });

  test("is not written again when nothing changed", async () => {
    cluster.publisher.publish(makeStatus("3", ["p"]));
    await written(makeStatus("3", ["p"]));
    const before = (await read())?.metadata.resourceVersion;
    const again = await makeCluster(token);
    again.publisher.publish(makeStatus("3", ["p"]));
    cluster.publisher.publish(makeStatus("3", ["p"]));
    await new Promise((done) => setTimeout(done, 1500));
    assert.equal((await read())?.metadata.resourceVersion, before);
    await again.stop();
  });

  test("is restored when it is deleted or when another client changes it", async () => {
    const status = makeStatus("4");
    cluster.publisher.publish(status);
    await written(status);
    await eventually(() => assert.equal(cluster.problem, undefined));
    await admin.delete(TRACING_NODES, { name: NODE });
    await written(status);
    const forged = JSON.stringify({ status: { agentVersion: "forged" } });
    await kubectl("patch", "tracingnode", NODE, "--subresource=status", "--type=merge", "-p", forged);
    await written(status);
  });

  test("is written when the API server is back", async () => {
    await plane.stopApiServer();
    cluster.publisher.publish(makeStatus("6", ["p"]));
    await new Promise((done) => setTimeout(done, 1500));
    await plane.startApiServer();
    await written(makeStatus("6", ["p"]));
  });

  test("of another node is out of reach", async () => {
    const agent = await client(token);
    const other = { metadata: { name: "node-2" } };
    const refusal = { status: 403, message: /bound to node node-1/ };
    // The API server needs a moment until it applies a new admission policy.
    await eventually(() =>
      assert.rejects(agent.apply(TRACING_NODES, other, { fieldManager: FIELD_MANAGERS.agent }), refusal),
    );
    const own = await client(await agentToken("node-2"));
    await own.apply(TRACING_NODES, other, { fieldManager: FIELD_MANAGERS.agent });
    const status = { ...other, status: makeStatus("forged") };
    await assert.rejects(
      agent.applyStatus(TRACING_NODES, status, { fieldManager: FIELD_MANAGERS.agent }),
      refusal,
    );
  });

  test("of another node is out of reach in every namespace that an overlay may choose", async () => {
    await kubectl("create", "namespace", "elsewhere");
    await kubectl("create", "serviceaccount", "trigon-agent", "-n", "elsewhere");
    const role = ["--clusterrole=trigon-agent", "--serviceaccount=elsewhere:trigon-agent"];
    await kubectl("create", "clusterrolebinding", "elsewhere", ...role);
    const agent = await client(await agentToken(NODE, "elsewhere"));
    await eventually(() =>
      assert.rejects(agent.apply(TRACING_NODES, { metadata: { name: "node-2" } }, { fieldManager: "test" }), {
        status: 403,
        message: /bound to node node-1/,
      }),
    );
    await agent.apply(TRACING_NODES, { metadata: { name: NODE } }, { fieldManager: "test" });
  });

  test("is out of reach of a token that is bound to no node", async () => {
    const unbound = await client(await serviceAccountToken(plane, NAMESPACE, "trigon-agent"));
    const write = () => unbound.apply(TRACING_NODES, { metadata: { name: NODE } }, { fieldManager: "test" });
    await assert.rejects(write, { status: 403, message: /bound to no node/ });
  });

  test("gets no finalizer from an agent, and keeps one that another client has set", async () => {
    const own = await client(await agentToken("node-2"));
    const writer = { fieldManager: FIELD_MANAGERS.agent };
    const at = { name: "node-2" };
    await own.apply(TRACING_NODES, { metadata: at }, writer);
    const finalized = { metadata: { ...at, finalizers: ["example.com/stay"] } };
    await assert.rejects(own.apply(TRACING_NODES, finalized, writer), {
      status: 403,
      message: /may not add finalizers/,
    });
    await admin.mergePatch(TRACING_NODES, at, finalized, { fieldManager: "backup" });
    await own.applyStatus(TRACING_NODES, { metadata: at, status: makeStatus("2") }, writer);
    await admin.mergePatch(TRACING_NODES, at, { metadata: { finalizers: null } }, { fieldManager: "backup" });
  });

  test("is known to be protected; without the admission policy the agent reports a problem", async () => {
    const problem = () => cluster.writeGuardProblem;
    assert.equal(problem(), undefined);
    await kubectl("delete", "validatingadmissionpolicybinding", "trigon-tracingnode-writer");
    await eventually(async () => {
      await cluster.stop();
      cluster = await makeCluster(token);
      cluster.start();
      await eventually(() => assert.match(problem() ?? "", /trigon-tracingnode-writer/), 5_000);
    });
    await kubectl("apply", "-f", `${MANIFESTS}/tracingnode-guard.yaml`);
    await eventually(() => assert.equal(problem(), undefined));
  });

  test("is counted by the API server, for what agents of a small cluster need not put off", async () => {
    const more = ["counted-1", "counted-2", "counted-3"].map((name) => ({ metadata: { name } }));
    for (const node of more) await admin.create(TRACING_NODES, node, OPERATOR);
    const reader = (await client(token)).onlyMetadata();
    const size = new ClusterSize({ client: reader, now: () => performance.now() });
    assert.equal(await size.share(), (await admin.list(TRACING_NODES)).length / 5_000);
    for (const { metadata } of more) await admin.delete(TRACING_NODES, metadata);
  });

  test("cannot be deleted by the agent, nor can the agent read Secrets", async () => {
    const agent = await client(token);
    const secrets = { group: "", version: "v1", plural: "secrets", kind: "Secret", namespaced: true };
    await assert.rejects(agent.delete(TRACING_NODES, { name: NODE }), { status: 403 });
    await assert.rejects(agent.list(secrets, { namespace: NAMESPACE }), { status: 403 });
  });
});
