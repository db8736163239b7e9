/** A platform team gives policies to some pods: by namespace, by labels, by container; and labels change. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { DEFAULT_NAMESPACE } from "../../crds/names.ts";
import {
  agentPods,
  events,
  isDetection,
  isReadyEverywhere,
  metrics,
  type PolicyObject,
  type TrigonEvent,
} from "./cluster-view.ts";
import { WORKLOAD_IMAGE } from "./demo.ts";
import { getObject, kubectl, until } from "./kubectl.ts";

const NAMESPACES = ["team-a", "team-b"] as const;
type Namespace = (typeof NAMESPACES)[number];

/** A container of a pod on one node. */
interface Place {
  namespace: Namespace;
  pod: string;
  container: string;
}

/** What events show of a hit. */
interface Hit {
  policy: string;
  pod: string;
  container: string;
  image: string;
}

/** What the status of a policy shows of its events. */
interface Activity {
  eventsPerMinute?: number;
  noisiest?: { namespaces: string[]; binaries: string[] };
}

let nodes: string[] = [];
/** Each trigger calls with an id of its own, by which its events are found. */
let nextUid = 20_000;

before(async () => {
  nodes = (
    await until("agents", async () => {
      const found = await agentPods();
      return found.length > 0 && found;
    })
  ).map(({ node }) => node);
  for (const namespace of NAMESPACES)
    await apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  const pods = nodes.flatMap((node) => [
    ...NAMESPACES.map((namespace) => makePod(namespace, node)),
    makeAdministrator(node),
  ]);
  await apply({ apiVersion: "v1", kind: "List", items: pods });
  for (const namespace of NAMESPACES)
    await kubectl(["wait", "-n", namespace, "pod", "-l", "app", "--for=condition=Ready", "--timeout=180s"]);
  const drift = makeDriftPolicy();
  await apply(drift);
  await ready(drift);
});

/** Starting containers changes credentials in every way that there is, and the kernel knows of each. */
afterEach(async () => {
  const drifts = (await events()).filter((event) => "credential_drift" in event);
  assert.deepEqual(drifts, [], "credentials that the kernel did not give");
});

after(async () => {
  for (const node of nodes) await administer(node, `rm -f ${STATIC_PODS}/trigon-story-*; ${RELEASE_AGENT}`);
  await kubectl(["delete", "tracingpolicy", "-l", "story=pods"]);
  await kubectl(["delete", "namespace", ...NAMESPACES, "--wait=false"]);
});

describe("a policy of a namespace", () => {
  test("is about the pods of its namespace; its name in another one, and without one, are other policies", async () => {
    const three = [
      makePolicy("shared", {}, "team-a"),
      makePolicy("shared", {}, "team-b"),
      makePolicy("shared", {}),
    ];
    await apply({ apiVersion: "v1", kind: "List", items: three });
    for (const policy of three) await ready(policy);
    for (const node of nodes) {
      const hits = await trigger({ namespace: "team-a", pod: podName(node), container: "main" }, 2);
      assert.deepEqual(
        hits.map(({ policy, pod, container }) => [policy, pod, container]),
        [
          ["shared", podName(node), "main"],
          ["shared", podName(node), "main"],
        ],
      );
      assert.match(hits[0]?.image ?? "", /workload/);
    }
    for (const agent of await agentPods()) {
      const counts = await until(`counts of ${agent.node}`, async () => {
        const found = countsByNamespace(await metrics(agent), "shared");
        return (found["team-a"] ?? 0) > 0 && (found[""] ?? 0) > 0 && found;
      });
      assert.equal(counts["team-b"] ?? 0, 0, agent.node);
    }
    for (const namespace of NAMESPACES)
      await kubectl(["delete", "tracingpoliciesnamespaced", "-n", namespace, "shared"]);
    await kubectl(["delete", "tracingpolicy", "shared"]);
  });
});

describe("a policy for labels", () => {
  const policy = makePolicy("labels", { podSelector: { matchLabels: { app: "watched" } } });

  test("takes a pod that gets the label, and leaves it when it loses the label", async () => {
    await apply(policy);
    await ready(policy);
    for (const node of nodes) {
      const place: Place = { namespace: "team-b", pod: podName(node), container: "main" };
      assert.deepEqual(await trigger(place, 0), []);
      await label(place, "watched");
      await until("a hit of the pod", async () => (await trigger(place, 0)).length > 0);
      await label(place, "other");
      await until("no hit any more", async () => (await trigger(place, 0)).length === 0);
    }
  });

  test("is about containers where it has a selector for them", async () => {
    const main = makePolicy("labels", {
      podSelector: { matchLabels: { app: "plain" } },
      containerSelector: { matchLabels: { name: "main" } },
    });
    await apply(main);
    await ready(main);
    for (const node of nodes) {
      const place = { namespace: "team-a", pod: podName(node) } as const;
      assert.deepEqual(await trigger({ ...place, container: "side" }, 0), []);
      const hits = await trigger({ ...place, container: "main" }, 1);
      assert.deepEqual(
        hits.map(({ container }) => container),
        ["main"],
      );
    }
  });
});

test("a policy in the mode count is Ready", async () => {
  const noise = makeNoisePolicy("count");
  await apply(noise);
  await ready(noise);
  // What is counted is measured once a minute: the test of it is further below.
  for (const node of nodes) {
    const loop = `while :; do ${callWith(nextUid++).join(" ")}; sleep 5; done`;
    const start = ["sh", "-c", `(${loop}) </dev/null >/dev/null 2>&1 &`];
    await kubectl(["exec", "-n", "team-a", podName(node), "-c", "main", "--", ...start]);
  }
});

test("every kind of container is named, with its image: init, main, ephemeral, and of a static pod", async () => {
  const app = { key: "app", operator: "In", values: ["short", "plain"] };
  const policy = makePolicy("short", { podSelector: { matchExpressions: [app] } });
  await apply(policy);
  await ready(policy);
  const wanted = new Map<number, string>();
  const calls = (place: string) => {
    wanted.set(nextUid, place);
    return callWith(nextUid++);
  };
  for (const node of nodes) {
    const short = makeShortPod(`short-${node}`, node);
    const init = { ...CONTAINER, name: "prepare", command: calls(`short-${node} prepare`) };
    const main = { ...CONTAINER, name: "main", command: calls(`short-${node} main`) };
    await apply({ ...short, spec: { ...short.spec, initContainers: [init], containers: [main] } });
    const debugged = podName(node);
    const debug = ["debug", "-q", "-n", "team-a", debugged, "-c", "debug", `--image=${CONTAINER.image}`];
    await kubectl([
      ...[...debug, "--image-pull-policy=IfNotPresent", "--profile=general", "--attach=false", "--"],
      ...calls(`${debugged} debug`),
    ]);
    const command = calls(`trigon-story-short-${node} main`); // the kubelet adds the node's name
    const { spec, ...rest } = makeShortPod("trigon-story-short", node);
    await makeStatic(node, {
      ...rest,
      spec: { ...spec, containers: [{ ...CONTAINER, name: "main", command }] },
    });
  }
  const hits = await until("events of all containers", async () => {
    const found = (await events()).flatMap((event) =>
      [...wanted.keys()].flatMap((uid) => hitOf(event, uid) ?? []),
    );
    return found.length >= wanted.size && found;
  });
  assert.deepEqual(
    hits.map(({ pod, container }) => `${pod} ${container}`).sort(),
    [...wanted.values()].sort(),
  );
  for (const { image } of hits) assert.match(image, /workload/);
});

test("the status of a policy in the mode count shows how much it would report, and where; then it reports", async () => {
  assert.equal(await reportedBy("noise"), 0);
  const { status } = await until("counts in the status", async () => {
    const found = await getObject<PolicyObject & { status: Activity }>("tracingpolicy", "noise");
    return (found?.status.eventsPerMinute ?? 0) > 0 && found;
  });
  assert.deepEqual(status.noisiest, { namespaces: ["team-a"], binaries: ["/usr/bin/setpriv"] });
  const table = (await kubectl(["get", "tracingpolicy", "noise", "-o", "wide"])).split("\n");
  assert.equal(column(table, "PODS"), String(nodes.length)); // those of team-b have another label by now
  assert.match(column(table, "EVENTS"), /^[1-9]/);
  const noise = makeNoisePolicy("monitor");
  await apply(noise);
  await ready(noise);
  await until("an event", async () => (await reportedBy("noise")) > 0);
});

test("an agent that is killed before pods start enforces on those of its policy again, and never on others", async () => {
  const policy = makePolicy("kill", { podSelector: { matchLabels: { app: "victim" } } });
  const [kprobe] = policy.spec.kprobes;
  const enforcing = { ...kprobe, selectors: [{ matchActions: [{ action: "Sigkill" }] }] };
  await apply({ ...policy, spec: { ...policy.spec, kprobes: [enforcing] } });
  await ready(policy);
  await startCallers("early-victim");
  for (const pod of onNodes("early-victim")) await phaseIs(pod, "Failed");

  const restarts = await restartCounts();
  for (const node of nodes) await administer(node, HOLD_AGENT);
  await startCallers("victim", "bystander");
  for (const node of nodes) await makeStatic(node, makeCaller("trigon-story-bystander", "bystander", node));
  const bystanders = onNodes("bystander", "trigon-story-bystander");
  const callers = [...onNodes("victim"), ...bystanders];
  for (const pod of callers) await until(`a call of ${pod}`, async () => (await callsOf(pod)) > 0);
  for (const pod of callers) assert.equal(await phaseOf(pod), "Running", `${pod}, while there is no agent`);

  for (const node of nodes) await administer(node, RELEASE_AGENT);
  for (const pod of onNodes("victim")) await phaseIs(pod, "Failed");
  for (const pod of bystanders) {
    const calls = await callsOf(pod);
    await until(`one more call of ${pod}`, async () => (await callsOf(pod)) > calls);
    assert.equal(await phaseOf(pod), "Running", pod);
  }
  await until("the ends of shells that ran before the agents, with their containers", async () => {
    const ended = new Set((await events()).flatMap(endedInContainer));
    return onNodes("victim").every((pod) => ended.has(`${pod} main`));
  });
  for (const [node, count] of await restartCounts()) assert.ok(count > (restarts.get(node) ?? 0), node);
});

const CONTAINER = { image: WORKLOAD_IMAGE, imagePullPolicy: "IfNotPresent" };

function podName(node: string): string {
  return `pod-${node}`;
}

function makePod(namespace: Namespace, node: string) {
  const sleeps = { ...CONTAINER, command: ["sleep", "infinity"] };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: podName(node), namespace, labels: { app: "plain" } },
    spec: {
      nodeName: node,
      terminationGracePeriodSeconds: 0,
      tolerations: [{ operator: "Exists" }],
      containers: [
        { ...sleeps, name: "main" },
        { ...sleeps, name: "side" },
      ],
    },
  };
}

/** A pod of team-a whose containers run once. */
function makeShortPod(name: string, node: string) {
  const { spec, ...pod } = makePod("team-a", node);
  const metadata = { ...pod.metadata, name, labels: { app: "short" } };
  return { ...pod, metadata, spec: { ...spec, restartPolicy: "Never" } };
}

/** A pod that changes credentials again and again, and fails as soon as a call is killed. */
function makeCaller(name: string, app: string, node: string) {
  const pod = makeShortPod(name, node);
  const call = callWith(nextUid++).join(" ");
  const command = ["sh", "-c", `while ${call}; do echo called; sleep 0.2; done; exit 1`];
  const metadata = { ...pod.metadata, labels: { app } };
  return { ...pod, metadata, spec: { ...pod.spec, containers: [{ ...CONTAINER, name: "main", command }] } };
}

/** Names as startCallers gives them, and as the kubelet gives them to static pods. */
function onNodes(...prefixes: string[]): string[] {
  return nodes.flatMap((node) => prefixes.map((prefix) => `${prefix}-${node}`));
}

/** A caller per node; the last word of its name is its label. */
async function startCallers(...names: string[]): Promise<void> {
  const appOf = (name: string) => name.split("-").at(-1) ?? "";
  const items = nodes.flatMap((node) =>
    names.map((name) => makeCaller(`${name}-${node}`, appOf(name), node)),
  );
  await apply({ apiVersion: "v1", kind: "List", items });
}

async function callsOf(pod: string): Promise<number> {
  return (await kubectl(["logs", "-n", "team-a", pod])).split("called").length - 1;
}

async function phaseOf(pod: string): Promise<string | undefined> {
  return (await getObject<{ status: { phase: string } }>("pod", pod, "-n", "team-a"))?.status.phase;
}

async function phaseIs(pod: string, phase: string): Promise<void> {
  await until(`${pod} ${phase}`, async () => (await phaseOf(pod)) === phase);
}

/** How often the container of each node's agent has been started again. */
async function restartCounts(): Promise<Map<string, number>> {
  const counts = (await agentPods()).map(async ({ node, name }) => {
    const path = "jsonpath={.status.containerStatuses[0].restartCount}";
    return [node, Number(await kubectl(["get", "pod", "-n", DEFAULT_NAMESPACE, name, "-o", path]))] as const;
  });
  return new Map(await Promise.all(counts));
}

/** The brackets keep the search from finding itself. */
const FIND_AGENT = "grep -lzs '/app/[a]gent/main.js' /proc/[0-9]*/cmdline | cut -d/ -f3";
const HELD = "/tmp/agent-is-held";
/**
 * Kills the agent and stops the next one in its first moments, before it has loaded anything. To kill that one as well
 * would make the kubelet wait longer and longer.
 */
const HOLD_AGENT = `
old=$(${FIND_AGENT}) && [ "$old" ] || exit 1
touch ${HELD}
kill -KILL $old
while new=$(${FIND_AGENT}); [ ! "$new" ] || [ "$new" = "$old" ]; do sleep 0.05; done
kill -STOP $new
`;
const RELEASE_AGENT = `if [ -e ${HELD} ]; then rm ${HELD}; kill -CONT $(${FIND_AGENT}); fi`;

/** Where kubeadm and kind have the kubelet look for static pods. */
const STATIC_PODS = "/etc/kubernetes/manifests";
/** A pod that sees the processes of its node, and writes its static pods. */
function makeAdministrator(node: string) {
  const { spec, ...pod } = makePod("team-b", node);
  const volumes = [{ name: "static", hostPath: { path: STATIC_PODS, type: "DirectoryOrCreate" } }];
  const containers = [{ ...spec.containers[0], volumeMounts: [{ name: "static", mountPath: STATIC_PODS }] }];
  const metadata = { ...pod.metadata, name: `administrator-${node}`, labels: { app: "administrator" } };
  return { ...pod, metadata, spec: { ...spec, hostPID: true, volumes, containers } };
}

function administer(node: string, script: string, input?: string): Promise<string> {
  return kubectl(["exec", "-i", "-n", "team-b", `administrator-${node}`, "--", "sh", "-c", script], input);
}

async function makeStatic(node: string, pod: ReturnType<typeof makeShortPod>): Promise<void> {
  const { nodeName: _, ...spec } = pod.spec;
  const file = `${STATIC_PODS}/${pod.metadata.name}.json`;
  await administer(node, `cat >${file}`, JSON.stringify({ ...pod, spec }));
}

/** What a table of kubectl has in a column of its first row. */
function column([header = "", row = ""]: readonly string[], name: string): string {
  const start = header.indexOf(name);
  return start < 0 ? "" : (row.slice(start).split(/\s/, 1)[0] ?? "");
}

function makePolicy(name: string, selectors: object, namespace?: Namespace) {
  return {
    apiVersion: "cilium.io/v1alpha1",
    kind: namespace ? "TracingPolicyNamespaced" : "TracingPolicy",
    metadata: { name, labels: { story: "pods" }, ...(namespace && { namespace }) },
    spec: {
      kprobes: [{ call: "sys_setresuid", syscall: true, args: [{ index: 0, type: "uint32" }] }],
      ...selectors,
    },
  };
}

function makeNoisePolicy(mode: "count" | "monitor") {
  const policy = makePolicy("noise", { podSelector: { matchLabels: { app: "plain" } } });
  return { ...policy, spec: { ...policy.spec, options: [{ name: "policy-mode", value: mode }] } };
}

/** Compares the credentials of each task that needs a capability, forks, changes credentials or ends; posts nothing else. */
function makeDriftPolicy() {
  return makePolicy("drift", {
    options: [{ name: "credential-drift", value: "true" }],
    kprobes: [{ call: "cap_capable", syscall: false, selectors: [{ matchActions: [{ action: "NoPost" }] }] }],
  });
}

async function reportedBy(policy: string): Promise<number> {
  return (await events()).filter((event) => isDetection(event, policy)).length;
}

async function apply(object: object): Promise<void> {
  await kubectl(["apply", "-f", "-"], JSON.stringify(object));
}

function ready({ kind, metadata }: ReturnType<typeof makePolicy>): Promise<PolicyObject> {
  const resource = kind === "TracingPolicy" ? "tracingpolicies" : "tracingpoliciesnamespaced";
  return until(`${kind} ${metadata.name} Ready`, async () => {
    const scope = metadata.namespace ? ["-n", metadata.namespace] : [];
    const policy = await getObject<PolicyObject>(resource, metadata.name, ...scope);
    return isReadyEverywhere(policy) && policy;
  });
}

async function label({ namespace, pod }: Place, app: string): Promise<void> {
  await kubectl(["label", "-n", namespace, "pod", pod, `app=${app}`, "--overwrite"]);
}

function callWith(uid: number): string[] {
  return ["setpriv", `--reuid=${uid}`, "--clear-groups", "true"];
}

/**
 * Calls in a container and returns the hits, at least as many as are wanted. Events of one process keep their order, so
 * once the exit of `true` is there, hits would be there, too.
 */
async function trigger({ namespace, pod, container }: Place, wanted: number): Promise<Hit[]> {
  const uid = nextUid++;
  await kubectl(["exec", "-n", namespace, pod, "-c", container, "--", ...callWith(uid)]);
  return until(`${wanted} events of uid ${uid}`, async () => {
    const all = await events();
    const hasEnded = all.some((event) => exitOf(event)?.uid === uid);
    const hits = all.flatMap((event) => hitOf(event, uid) ?? []);
    return hasEnded && hits.length >= wanted && hits;
  });
}

function exitOf(event: TrigonEvent): { uid: number } | undefined {
  return (event.process_exit as { process: { uid: number } } | undefined)?.process;
}

/** Pod and container of a process that an agent found in /proc when it started, at its end. */
function endedInContainer({ process_exit }: TrigonEvent): string[] {
  const { process } = (process_exit ?? {}) as { process?: { flags?: string } & Pick<Process, "pod"> };
  if (!process?.pod || !process.flags?.includes("procFS")) return [];
  return [`${process.pod.name} ${process.pod.container.name}`];
}

interface Process {
  pod?: { name: string; container: { name: string; image: { name: string } } };
}

interface KprobeEvent {
  policy_name: string;
  args: { uint_arg?: number }[];
  process: Process;
}

function hitOf(event: TrigonEvent, uid: number): Hit | undefined {
  const kprobe = event.process_kprobe as KprobeEvent | undefined;
  if (kprobe?.args?.[0]?.uint_arg !== uid) return undefined;
  const { pod } = kprobe.process;
  return {
    policy: kprobe.policy_name,
    pod: pod?.name ?? "",
    container: pod?.container.name ?? "",
    image: pod?.container.image?.name ?? "",
  };
}

function countsByNamespace(text: string, policy: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const line of text.split("\n")) {
    if (!line.startsWith(`trigon_policy_events_total{policy="${policy}",`)) continue;
    const namespace = /policy_namespace="([^"]*)"/.exec(line)?.[1] ?? "";
    counts[namespace] = (counts[namespace] ?? 0) + Number(line.split(" ").at(-1));
  }
  return counts;
}
