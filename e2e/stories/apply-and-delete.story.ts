/** A platform engineer applies a policy, sees that it runs everywhere, deletes it, and applies it again. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readNodePolicies } from "../../crds/node-policies.ts";
import type { TracingNode } from "../../crds/tracingnode-v1alpha1.gen.ts";
import {
  type AgentPod,
  agentPods,
  countedDetections,
  events,
  isDetection,
  metrics,
  policyReady,
  type TrigonEvent,
} from "./cluster-view.ts";
import { change, startDemoPod } from "./demo.ts";
import { getObject, kubectl, until } from "./kubectl.ts";

const FILE = new URL(
  "../../crds/examples/valid/process.credentials.changes.at.syscalls.yaml",
  import.meta.url,
).pathname;
const POLICY = "process.credentials.changes.at.syscalls";

let agents: AgentPod[] = [];
const pods = new Map<string, string>();

before(async () => {
  agents = await until("agents", async () => {
    const found = await agentPods();
    return found.length > 0 && found;
  });
  for (const agent of agents) pods.set(agent.node, await startDemoPod(agent.node));
});

after(async () => {
  await kubectl(["delete", "-f", FILE, "--ignore-not-found"]);
  for (const pod of pods.values()) await kubectl(["delete", "pod", pod, "--now", "--ignore-not-found"]);
});

test("an applied policy is Ready on every node, and kubectl shows it in a table", async () => {
  await kubectl(["apply", "-f", FILE]);
  await policyReady(POLICY);
  // A node whose agent is short of time may count as absent for a moment, and the policy is Ready without it.
  const all = `${agents.length}/${agents.length}`;
  const table = await until(`${all} nodes`, async () => {
    const found = await kubectl(["get", "tracingpolicies", POLICY]);
    return found.includes(all) && found;
  });
  assert.match(table, /NAME\s+READY\s+NODES\s+HOOKS\s+REASON\s+AGE/);
  assert.match(table, new RegExp(`True\\s+${all}\\s+8/8\\s+Attached`));
});

test("where the kernel does not preempt programs, every hook is an fentry, in the agent's container too", async () => {
  for (const agent of agents) {
    const attached = await until(`hooks of ${agent.node}`, async () => {
      const lines = (await metrics(agent)).split("\n");
      const found = lines.filter((line) => line.startsWith(`trigon_hook_attached{policy="${POLICY}"`));
      return found.length > 0 && found.map((line) => /attach="([^"]+)"/.exec(line)?.[1]);
    });
    assert.deepEqual(new Set(attached), new Set(["fentry"]), agent.node);
  }
});

test("a change of credentials in a pod is an event with the pod's name, and a count", async () => {
  for (const [node, pod] of pods) {
    await change(pod, "su");
    const seen = await until(`an event of ${pod}`, async () => (await eventsOf(node, pod))[0]);
    const kprobe = seen.process_kprobe as {
      function_name: string;
      process: {
        pod: {
          namespace: string;
          name: string;
          container: { name: string; image: { name: string } };
          pod_labels: object;
        };
      };
    };
    assert.equal(kprobe.process.pod.name, pod);
    assert.equal(kprobe.process.pod.namespace, "default");
    assert.equal(kprobe.process.pod.container.name, "shell");
    assert.match(kprobe.process.pod.container.image.name, /workload/);
    assert.deepEqual(kprobe.process.pod.pod_labels, { app: "demo" });
  }
});

test("the counts in /metrics are those of the event stream", async () => {
  for (const agent of agents) {
    const counted = await until(`counts of ${agent.node}`, async () => {
      const inMetrics = countedDetections(await metrics(agent), POLICY);
      const inStream = (await events()).filter(
        (event) => ofPolicy(event) && event.node_name === agent.node,
      ).length;
      return inMetrics === inStream && inStream;
    });
    assert.ok(counted > 0);
  }
});

test("a deleted policy stops on every node and leaves nothing behind", async () => {
  await kubectl(["delete", "-f", FILE]);
  await until("the nodes to report that it is gone", async () => (await nodesWith(POLICY)) === 0);
  const before = (await events()).filter(ofPolicy).length;
  for (const pod of pods.values()) await change(pod, "su");
  // Events are exported in order: once the exit of `su` is there, events that it caused would be there, too.
  await until("the exits of su", async () => {
    const exits = (await events()).filter((event) => binaryOf(event, "process_exit")?.endsWith("/su"));
    return exits.length >= 2 * pods.size;
  });
  assert.equal((await events()).filter(ofPolicy).length, before);
  assert.equal(await specsOf(POLICY), 0);
});

test("applied again, it is Ready and posts events again", async () => {
  await kubectl(["apply", "-f", FILE]);
  await policyReady(POLICY);
  const before = (await events()).filter(ofPolicy).length;
  for (const pod of pods.values()) await change(pod, "su");
  await until("new events from every node", async () => {
    const fresh = (await events()).filter(ofPolicy).slice(before);
    return new Set(fresh.map((event) => event.node_name)).size === pods.size;
  });
});

function ofPolicy(event: TrigonEvent): boolean {
  return isDetection(event, POLICY);
}

function binaryOf(event: TrigonEvent, kind: string): string | undefined {
  return (event[kind] as { process?: { binary?: string } } | undefined)?.process?.binary;
}

async function eventsOf(node: string, pod: string): Promise<TrigonEvent[]> {
  return (await events()).filter((event) => {
    const process = (event.process_kprobe as { process?: { pod?: { name?: string } } } | undefined)?.process;
    return ofPolicy(event) && event.node_name === node && process?.pod?.name === pod;
  });
}

async function nodesWith(policy: string): Promise<number> {
  const list = await getObject<{ items: TracingNode[] }>("tracingnodes");
  return (list?.items ?? []).filter((node) =>
    readNodePolicies(node.status).some((item) => item.name === policy),
  ).length;
}

async function specsOf(policy: string): Promise<number> {
  const list = await getObject<{ items: { metadata: { annotations?: Record<string, string> } }[] }>(
    "configmaps",
    "-n",
    "trigon-system",
    "-l",
    "trigon.dev/policy",
  );
  return (list?.items ?? []).filter((item) =>
    Object.values(item.metadata.annotations ?? {}).includes(`TracingPolicy/${policy}`),
  ).length;
}
