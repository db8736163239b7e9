import { describe, expect, test } from "vitest";
import type { WorkloadScope } from "../../crds/hook-spec.ts";
import type { PodObject } from "./pod-object.ts";
import { imageRepository, judge, type ScopeVerdict } from "./scopes.ts";

const ID = { main: "a".repeat(64), sidecar: "b".repeat(64), unknown: "c".repeat(64) };

const pod: PodObject = {
  metadata: { name: "web-0", namespace: "team", uid: "u", labels: { app: "web" } },
  spec: {
    initContainers: [{ name: "setup", image: "registry.example:5000/setup:1" }],
    containers: [
      { name: "main", image: "nginx:1.27@sha256:00" },
      { name: "sidecar", image: "quay.io/proxy/envoy" },
    ],
  },
  status: {
    containerStatuses: [
      { name: "main", containerID: `containerd://${ID.main}` },
      { name: "sidecar", containerID: `containerd://${ID.sidecar}` },
    ],
  },
};

const pods = (selector: WorkloadScope["pods"]): WorkloadScope => ({ pods: selector ?? {}, host: false });
const expression = (key: string, operator: "In" | "NotIn" | "Exists", ...values: string[]) => ({
  matchExpressions: [{ key, operator, ...(values.length > 0 && { values }) }],
});
const containers = (selector: WorkloadScope["containers"]): WorkloadScope => ({
  pods: {},
  containers: selector ?? {},
  host: false,
});
const NAMESPACE = "k8s:io.kubernetes.pod.namespace";

describe("a pod", () => {
  const cases: Record<string, [scope: WorkloadScope, want: ScopeVerdict]> = {
    "is inside where all pods are": [pods({}), "inside"],
    "is inside with its label": [pods({ matchLabels: { app: "web" } }), "inside"],
    "is outside without the label": [pods({ matchLabels: { app: "db" } }), "outside"],
    "is inside by its namespace's label": [pods(expression(NAMESPACE, "In", "team", "b")), "inside"],
    "is outside by its namespace's label": [pods(expression(NAMESPACE, "NotIn", "team")), "outside"],
    "is inside of its namespace": [{ ...pods({}), namespace: "team" }, "inside"],
    "is outside of another namespace": [{ ...pods({}), namespace: "b" }, "outside"],
    "is outside where only the host is": [{ host: true }, "outside"],
    "is inside if all its containers are": [containers(expression("name", "Exists")), "inside"],
    "is outside if none of its containers is inside": [containers(expression("name", "In", "x")), "outside"],
    "is undecided if its containers differ": [containers(expression("name", "In", "main")), "undecided"],
  };
  test.each(Object.entries(cases))("%s", (_name, [scope, want]) => {
    expect(judge(scope, pod)).toBe(want);
  });

  test("that is not known is undecided, and outside where no pod counts", () => {
    expect(judge(pods({}), undefined)).toBe("undecided");
    expect(judge({ host: true }, undefined)).toBe("outside");
  });
});

describe("a container", () => {
  const cases: Record<string, [selector: object, id: keyof typeof ID, want: ScopeVerdict]> = {
    "is inside by its name": [expression("name", "In", "main"), "main", "inside"],
    "is outside by its name": [expression("name", "In", "main"), "sidecar", "outside"],
    "is undecided until the kubelet has named it": [expression("name", "In", "main"), "unknown", "undecided"],
    "is decided at once where all containers agree": [expression("name", "NotIn", "x"), "unknown", "inside"],
    "is inside by its image as the pod has it": [expression("repo", "In", "nginx"), "main", "inside"],
    "is inside by its image with the registry": [
      expression("repo", "In", "docker.io/library/nginx"),
      "main",
      "inside",
    ],
    "is outside where either name of its image is excluded": [
      expression("repo", "NotIn", "docker.io/library/nginx"),
      "main",
      "outside",
    ],
    "is inside by an image of another registry": [
      { matchLabels: { repo: "quay.io/proxy/envoy" } },
      "sidecar",
      "inside",
    ],
  };
  test.each(Object.entries(cases))("%s", (_name, [selector, id, want]) => {
    expect(judge(containers(selector), pod, ID[id])).toBe(want);
  });

  test("of a pod that is outside is outside", () => {
    const scope = { ...containers({ matchLabels: { name: "main" } }), namespace: "b" };
    expect(judge(scope, pod, ID.main)).toBe("outside");
  });
});

test.each([
  ["nginx", "nginx"],
  ["nginx:1.27", "nginx"],
  ["registry.example:5000/a/b", "registry.example:5000/a/b"],
  ["registry.example:5000/a/b:1@sha256:00", "registry.example:5000/a/b"],
  ["", ""],
])("the repository of %j is %j", (image, repository) => {
  expect(imageRepository(image)).toBe(repository);
});

test("a container that the kubelet has not named is judged by the name that its runtime has", () => {
  const scope = containers({ matchLabels: { name: "main" } });
  const named = (name: string) => judge(scope, pod, ID.unknown, { name, isSandbox: false });
  expect([judge(scope, pod, ID.unknown), named("main"), named("sidecar")]).toEqual([
    "undecided",
    "inside",
    "outside",
  ]);
});

test("a pod's sandbox is none of its containers", () => {
  expect(judge(containers({}), pod, ID.unknown, { isSandbox: true })).toBe("outside");
  expect(judge(pods({}), pod, ID.unknown, { isSandbox: true })).toBe("inside");
});
