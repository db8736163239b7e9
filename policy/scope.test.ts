import { describe, expect, test } from "vitest";
import type { WorkloadScope } from "../crds/hook-spec.ts";
import {
  errorsOf,
  hooksOf,
  type Loose,
  makePolicy,
  makeProbe,
  makeProbePolicy,
  makeSelectorPolicy,
  warningsOf,
} from "./testing/policies.ts";

const app = { matchLabels: { app: "web" } };
const repo = {
  matchExpressions: [{ key: "repo", operator: "In" as const, values: ["docker.io/library/nginx"] }],
};
const withSpec = (more: Loose) => makePolicy({ kprobes: [makeProbe()], ...more });
const inNamespace = (more: Loose) => {
  const policy = makePolicy({ kprobes: [makeProbe()], ...more }, "TracingPolicyNamespaced");
  return { ...policy, metadata: { name: "test", namespace: "team" } };
};

const scopes: Record<string, [policy: Loose, scope: WorkloadScope | undefined]> = {
  "all processes without a selector": [withSpec({}), undefined],
  "all processes with selectors that leave nothing out": [
    withSpec({ podSelector: {}, hostSelector: {}, containerSelector: {} }),
    undefined,
  ],
  "all pods": [withSpec({ podSelector: {} }), { pods: {}, host: false }],
  "pods by labels": [withSpec({ podSelector: app }), { pods: app, host: false }],
  "containers of all pods": [
    withSpec({ containerSelector: repo }),
    { pods: {}, containers: repo, host: false },
  ],
  "the host alone": [withSpec({ hostSelector: {} }), { host: true }],
  "the host and some pods": [withSpec({ hostSelector: {}, podSelector: app }), { pods: app, host: true }],
  "the pods of the namespace": [inNamespace({}), { namespace: "team", pods: {}, host: false }],
  "some pods of the namespace": [
    inNamespace({ podSelector: app }),
    { namespace: "team", pods: app, host: false },
  ],
};

test("a namespace that limits nothing is warned of", () => {
  const policy = makePolicy({ kprobes: [makeProbe()] });
  expect(warningsOf({ ...policy, metadata: { name: "test", namespace: "team" } })).toEqual([
    "metadata.namespace: has no effect: a TracingPolicy is about all namespaces, a TracingPolicyNamespaced about its own",
  ]);
  expect(warningsOf(inNamespace({}))).toEqual([]);
});

test.each(Object.entries(scopes))("the scope of a policy is %s", (_name, [policy, scope]) => {
  expect(hooksOf(policy).map((hook) => hook.scope)).toEqual([scope]);
});

test("every hook of the policy has its scope", () => {
  const policy = withSpec({ kprobes: [makeProbe(), makeProbe({ call: "sys_setgid" })], podSelector: app });
  expect(hooksOf(policy).map((hook) => hook.scope)).toEqual(Array(2).fill({ pods: app, host: false }));
});

test("a selector has a scope of its own", () => {
  const [hook] = hooksOf(makeSelectorPolicy({ matchWorkloads: { hostSelector: {}, podSelector: app } }));
  expect(hook?.selectors[0]?.scope).toEqual({ pods: app, host: true });
  expect(hook?.scope).toBeUndefined();
});

test("a selector behind one for other workloads can match, behind one for the same workloads it cannot", () => {
  const warnings = (...workloads: Loose[]) =>
    warningsOf(makeProbePolicy({ selectors: workloads.map((matchWorkloads) => ({ matchWorkloads })) }));
  expect(warnings({ podSelector: app }, { hostSelector: {} }, { podSelector: {} })).toEqual([]);
  expect(warnings({ podSelector: app }, { podSelector: app })).toEqual([
    "spec.kprobes[0].selectors[1]: never matches: selectors[0] has no filters, and the first selector that matches decides",
  ]);
});

test("a selector whose workloads leave nothing out has none", () => {
  const [hook] = hooksOf(makeSelectorPolicy({ matchWorkloads: { hostSelector: {}, podSelector: {} } }));
  expect(hook?.selectors[0]).not.toHaveProperty("scope");
});

describe("refused", () => {
  const expression = (key: string, more: Loose = { operator: "Exists" }) => ({
    matchExpressions: [{ key, ...more }],
  });
  const cases: Record<string, [policy: Loose, error: string]> = {
    "a key of pods that is no label": [
      withSpec({ podSelector: expression("a b") }),
      `spec.podSelector.matchExpressions[0].key: "a b" is not a label: NAME or DOMAIN/NAME`,
    ],
    "In without values": [
      withSpec({ podSelector: expression("app", { operator: "In" }) }),
      "spec.podSelector.matchExpressions[0].values: is empty: In needs at least one value",
    ],
    "a label of namespaces": [
      withSpec({ podSelector: { matchLabels: { "kubernetes.io/metadata.name": "team" } } }),
      'spec.podSelector.matchLabels["kubernetes.io/metadata.name"]: "kubernetes.io/metadata.name" is a label of namespaces, and pods are selected by their own labels and by k8s:io.kubernetes.pod.namespace, the name of their namespace',
    ],
    "a label of namespaces as Cilium calls it": [
      withSpec({ podSelector: expression("k8s:io.cilium.k8s.namespace.labels.team") }),
      'spec.podSelector.matchExpressions[0].key: "k8s:io.cilium.k8s.namespace.labels.team" is a label of namespaces, and pods are selected by their own labels and by k8s:io.kubernetes.pod.namespace, the name of their namespace',
    ],
    "a field that containers do not have": [
      withSpec({ containerSelector: { matchLabels: { image: "a" } } }),
      'spec.containerSelector.matchLabels.image: "image" is no field of a container: name or repo, the image without its tag',
    ],
    "a key in the workloads of a selector": [
      makeSelectorPolicy({ matchWorkloads: { podSelector: expression("/") } }),
      `spec.kprobes[0].selectors[0].matchWorkloads.podSelector.matchExpressions[0].key: "/" is not a label: NAME or DOMAIN/NAME`,
    ],
  };

  test.each(Object.entries(cases))("%s", (_name, [policy, error]) => {
    expect(errorsOf(policy)).toEqual([error]);
  });

  test("not the label that stands for the namespace", () => {
    const podSelector = expression("k8s:io.kubernetes.pod.namespace", { operator: "In", values: ["team"] });
    expect(errorsOf(withSpec({ podSelector }))).toEqual([]);
  });
});
