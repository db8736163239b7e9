import { expect, test } from "vitest";
import type { PolicyActivity } from "../../crds/policy-activity.ts";
import { ActivitySum, type ClusterActivity } from "./activity.ts";

const node = (changes: Partial<PolicyActivity>): PolicyActivity => ({
  perMinute: 0,
  namespaces: [],
  binaries: [],
  ...changes,
});

const cases: Record<string, { nodes: PolicyActivity[]; want: ClusterActivity }> = {
  "nothing is known without a node that reports": { nodes: [], want: {} },
  "no pod is a figure": { nodes: [node({ pods: 0 }), node({ pods: 0 })], want: { pods: 0 } },
  "pods and events are added up, and names weigh as much as their nodes report": {
    nodes: [
      node({ pods: 2, perMinute: 10, namespaces: ["blog", "shop"], binaries: ["/su"] }),
      node({ pods: 1, perMinute: 300, namespaces: ["shop"], binaries: ["/sudo"] }),
    ],
    want: {
      pods: 3,
      eventsPerMinute: 310,
      noisiest: { namespaces: ["shop", "blog"], binaries: ["/sudo", "/su"] },
    },
  },
};

test.each(Object.entries(cases))("%s", (_name, { nodes, want }) => {
  const sum = new ActivitySum();
  for (const each of nodes) sum.add(each);
  expect(sum.result()).toEqual(want);
});
