/** The workloads that a policy, or one of its selectors, is about. */
import type { LabelSelector, WorkloadScope } from "../crds/hook-spec.ts";
import { NAMESPACE_LABEL } from "../crds/names.ts";
import { checkLabelSelector, OBJECT_LABELS, type Vocabulary } from "./label-selector.ts";
import type { Problems } from "./problems.ts";
import { quote } from "./suggest.ts";
import type { Policy, Selector } from "./types.ts";

/** The three selectors as a policy and matchWorkloads have them. */
type Workloads = NonNullable<Selector["matchWorkloads"]>;

/** As in Tetragon, a pod has its labels and the name of its namespace, and not the labels of its namespace. */
const POD_LABELS: Vocabulary = {
  checkKey(key) {
    if (key === NAMESPACE_LABEL) return undefined;
    return isOfNamespaces(key) ? ofNamespaces(key) : OBJECT_LABELS.checkKey(key);
  },
  checkValue: OBJECT_LABELS.checkValue,
};

/** The label that Kubernetes gives to each namespace, and what Cilium calls labels of namespaces. */
function isOfNamespaces(key: string): boolean {
  return key === "kubernetes.io/metadata.name" || key.includes("io.cilium.k8s.namespace.labels.");
}

function ofNamespaces(key: string): string {
  return `${quote(key)} is a label of namespaces, and pods are selected by their own labels and by ${NAMESPACE_LABEL}, the name of their namespace`;
}

/** A container has a name and an image. */
const CONTAINER_FIELDS: Vocabulary = {
  checkKey: (key) =>
    key === "name" || key === "repo"
      ? undefined
      : `${quote(key)} is no field of a container: name or repo, the image without its tag`,
  checkValue: () => undefined,
};

/** Which processes the policy is about; undefined where these are all processes of the node. */
export function compilePolicyScope(policy: Policy, problems: Problems): WorkloadScope | undefined {
  const namespaced = policy.kind === "TracingPolicyNamespaced";
  const { namespace = "default" } = policy.metadata;
  if (!namespaced && policy.metadata.namespace)
    problems.warn(
      "metadata.namespace",
      "has no effect: a TracingPolicy is about all namespaces, a TracingPolicyNamespaced about its own",
    );
  return compileScope(policy.spec, "spec", namespaced ? namespace : undefined, problems);
}

/** Which processes a selector is about, of those that the policy is about. */
export function compileWorkloads(
  workloads: Workloads,
  path: string,
  problems: Problems,
): WorkloadScope | undefined {
  return compileScope(workloads, path, undefined, problems);
}

/**
 * Without a selector everything counts. With one, only what a selector names: pods if there is one for pods or
 * containers, processes outside of pods if there is a hostSelector.
 */
function compileScope(
  { podSelector, containerSelector, hostSelector }: Workloads,
  path: string,
  namespace: string | undefined,
  problems: Problems,
): WorkloadScope | undefined {
  if (podSelector) checkLabelSelector(podSelector, `${path}.podSelector`, POD_LABELS, problems);
  if (containerSelector) {
    checkLabelSelector(containerSelector, `${path}.containerSelector`, CONTAINER_FIELDS, problems);
  }
  const containers = isEmpty(containerSelector) ? undefined : containerSelector;
  const selectsPods = podSelector || containerSelector || namespace !== undefined;
  const hasNone = !selectsPods && !hostSelector;
  const hasAll =
    namespace === undefined && hostSelector && selectsPods && isEmpty(podSelector) && !containers;
  if (hasNone || hasAll) return undefined;
  return {
    ...(namespace !== undefined && { namespace }),
    ...(selectsPods && { pods: podSelector ?? {} }),
    ...(containers && { containers }),
    host: hostSelector !== undefined,
  };
}

function isEmpty(selector: LabelSelector | undefined): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  return Object.keys(matchLabels).length === 0 && matchExpressions.length === 0;
}
