import { describe, expect, test } from "vitest";
import type { KubeObject } from "../../lib/resources.ts";
import { parseAgentPod, preferredPod } from "./agent-pod.ts";

function makePod(status: object, metadata: object = {}): KubeObject {
  return { metadata: { name: "pod-1", ...metadata }, spec: { nodeName: "node-1" }, status } as KubeObject;
}

const terminated = { exitCode: 1, reason: "Error", message: "bpf(BPF_PROG_LOAD): EPERM\n" };
const cases: Record<string, { status: object; state: string; message?: string }> = {
  "is ready by its condition": {
    status: { conditions: [{ type: "Ready", status: "True" }] },
    state: "ready",
  },
  "is starting before the kubelet has said anything": {
    status: { phase: "Pending" },
    state: "starting",
    message: "agent pod is not ready",
  },
  "is starting while its container is created": {
    status: { containerStatuses: [{ state: { waiting: { reason: "ContainerCreating" } } }] },
    state: "starting",
  },
  "is starting while it runs for the first time": {
    status: {
      conditions: [{ type: "Ready", status: "False" }],
      containerStatuses: [{ restartCount: 0, state: { running: {} } }],
    },
    state: "starting",
  },
  "is unavailable when its image cannot be had": {
    status: {
      containerStatuses: [{ state: { waiting: { reason: "ImagePullBackOff", message: "not found" } } }],
    },
    state: "unavailable",
    message: "agent pod is in ImagePullBackOff: not found",
  },
  "is unavailable in a crash loop, with what it said last": {
    status: {
      containerStatuses: [
        { restartCount: 2, state: { waiting: { reason: "CrashLoopBackOff" } }, lastState: { terminated } },
      ],
    },
    state: "unavailable",
    message: "agent pod is in CrashLoopBackOff: ended with Error 1: bpf(BPF_PROG_LOAD): EPERM",
  },
  "is unavailable right after it ended": {
    status: { containerStatuses: [{ state: { terminated } }] },
    state: "unavailable",
    message: "agent pod ended with Error 1: bpf(BPF_PROG_LOAD): EPERM",
  },
  "is unavailable when it was restarted and is not ready": {
    status: { containerStatuses: [{ restartCount: 1, state: { running: {} }, lastState: { terminated } }] },
    state: "unavailable",
    message: "agent pod was restarted and is not ready: ended with Error 1: bpf(BPF_PROG_LOAD): EPERM",
  },
  "was out of memory, whatever its log says last": {
    status: {
      containerStatuses: [
        {
          restartCount: 1,
          state: { waiting: { reason: "CrashLoopBackOff" } },
          lastState: { terminated: { exitCode: 137, reason: "OOMKilled", message: '"CAP_IPC_OWNER"]}}' } },
        },
      ],
    },
    state: "unavailable",
    message:
      "agent pod is in CrashLoopBackOff: was killed: out of memory; raise resources.limits.memory of the agent, or give the node more memory",
  },
  "was killed by its liveness probe, and a piece of an event is no reason": {
    status: {
      containerStatuses: [
        {
          restartCount: 1,
          state: { running: {} },
          lastState: {
            terminated: { exitCode: 137, reason: "Error", message: 'IPC_OWNER","CAP_SYS_MODULE"' },
          },
        },
      ],
    },
    state: "unavailable",
    message:
      "agent pod was restarted and is not ready: was killed by signal 9: its liveness probe failed, or the node stopped it; see kubectl describe pod",
  },
  crashed: {
    status: { containerStatuses: [{ state: { terminated: { exitCode: 139, reason: "Error" } } }] },
    state: "unavailable",
    message: "agent pod was killed by signal 11: it crashed; see kubectl logs --previous",
  },
  "is absent when its node does not answer: only Ready of the Pod changes then": {
    status: {
      conditions: [
        { type: "Ready", status: "False" },
        { type: "ContainersReady", status: "True" },
      ],
      containerStatuses: [{ restartCount: 3, state: { running: {} }, lastState: { terminated } }],
    },
    state: "absent",
    message: "the node is not ready",
  },
  "is absent when its node is lost": { status: { phase: "Running", reason: "NodeLost" }, state: "absent" },
  "is unavailable when it was evicted": {
    status: { phase: "Failed", reason: "Evicted", message: "disk pressure" },
    state: "unavailable",
    message: "agent pod failed (Evicted): disk pressure",
  },
};
describe("an agent", () => {
  test.each(Object.entries(cases))("%s", (_name, { status, state, message }) => {
    const pod = parseAgentPod(makePod(status));
    expect(pod.nodeName).toBe("node-1");
    expect(pod.health.state).toBe(state);
    if (message !== undefined) expect(pod.health.message).toBe(message);
  });

  test("is not ready since its condition says so, or since its creation", () => {
    const creationTimestamp = "2026-01-01T00:00:00Z";
    const lastTransitionTime = "2026-01-02T00:00:00Z";
    const conditions = [{ type: "Ready", status: "False", lastTransitionTime }];
    const since = (status: object) => parseAgentPod(makePod(status, { creationTimestamp })).health.since;
    expect(since({ conditions })).toBe(Date.parse(lastTransitionTime));
    expect(since({})).toBe(Date.parse(creationTimestamp));
  });

  test("says little even when its container says much", () => {
    const pod = parseAgentPod(
      makePod({
        containerStatuses: [{ state: { terminated: { ...terminated, message: "x".repeat(9_000) } } }],
      }),
    );
    expect(pod.health.message?.length).toBeLessThanOrEqual(400);
  });
});

describe("a Pod that is not scheduled", () => {
  const meantFor = (values: string[]) => ({
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values }] }],
      },
    },
  });
  const pending = (affinity: object | undefined, conditions: object[]) =>
    parseAgentPod({ metadata: { name: "pod-1" }, spec: { affinity }, status: { conditions } } as KubeObject);
  const unschedulable = {
    type: "PodScheduled",
    status: "False",
    reason: "Unschedulable",
    message: "0/3 nodes are available: 1 Insufficient memory",
  };

  test("counts for the node that its DaemonSet made it for, with what the scheduler says", () => {
    expect(pending(meantFor(["node-3"]), [unschedulable])).toMatchObject({
      nodeName: "node-3",
      health: {
        state: "unavailable",
        message: "agent pod is not scheduled: 0/3 nodes are available: 1 Insufficient memory",
      },
    });
  });

  test("is starting before the scheduler has looked at it", () => {
    expect(pending(meantFor(["node-3"]), [])).toMatchObject({
      nodeName: "node-3",
      health: { state: "starting" },
    });
  });

  test.each([
    ["no affinity", undefined],
    ["an affinity to several nodes", meantFor(["a", "b"])],
    ["an affinity without required terms", { nodeAffinity: {} }],
  ])("counts for no node with %s", (_what, affinity) => {
    expect(pending(affinity, [unschedulable]).nodeName).toBeUndefined();
  });
});

test("of two Pods on a node the one that stays speaks, else the newer", () => {
  const old = parseAgentPod(makePod({}, { name: "old", creationTimestamp: "2026-01-01T00:00:00Z" }));
  const young = parseAgentPod(makePod({}, { name: "young", creationTimestamp: "2026-01-02T00:00:00Z" }));
  const leaving = { ...young, metadata: { ...young.metadata, deletionTimestamp: "2026-01-03T00:00:00Z" } };
  expect(preferredPod([young, old])?.metadata.name).toBe("young");
  expect(preferredPod([leaving, old])?.metadata.name).toBe("old");
  expect(preferredPod([])).toBeUndefined();
});
