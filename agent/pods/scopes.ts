/** Whether a pod and its containers are in a scope. Pure. */
import type { LabelSelector, WorkloadScope } from "../../crds/hook-spec.ts";
import { NAMESPACE_LABEL } from "../../crds/names.ts";
import { anyNameMatches, type Labels, selectorMatches } from "./label-selector.ts";
import { containerSpecs, findStatus } from "./pod-context.ts";
import type { ContainerSpec, PodObject } from "./pod-object.ts";
import type { ContainerFacts } from "./runtime-bundles.ts";

/** `undecided`: something about the pod or the container is not known yet. */
export type ScopeVerdict = "inside" | "outside" | "undecided";

/**
 * What a scope says of a container, or without an id of everything in the pod; of a pod that is not known without one.
 * `facts`: what the runtime knows of the container.
 */
export function judge(
  scope: WorkloadScope,
  pod: PodObject | undefined,
  containerId?: string,
  facts?: ContainerFacts,
): ScopeVerdict {
  if (!scope.pods) return "outside";
  if (!pod) return "undecided";
  if (!podMatches(scope, scope.pods, pod)) return "outside";
  if (!scope.containers) return "inside";
  if (facts?.isSandbox) return "outside";
  const name = containerId === undefined ? undefined : (findStatus(pod, containerId)?.name ?? facts?.name);
  return judgeContainers(scope.containers, pod, name);
}

function podMatches({ namespace }: WorkloadScope, selector: LabelSelector, { metadata }: PodObject): boolean {
  const own = metadata.namespace ?? "";
  if (namespace !== undefined && namespace !== own) return false;
  return selectorMatches(selector, { ...metadata.labels, [NAMESPACE_LABEL]: own });
}

/** A container whose name is not known yet is decided where all containers of the pod agree. */
function judgeContainers(selector: LabelSelector, pod: PodObject, name: string | undefined): ScopeVerdict {
  const candidates = containerSpecs(pod).filter((spec) => name === undefined || spec.name === name);
  const matching = candidates.filter((spec) => anyNameMatches(selector, containerFields(spec)));
  if (matching.length === 0) return "outside";
  return matching.length === candidates.length ? "inside" : "undecided";
}

/** `repo` as the pod has it, and with the registry that is meant where it has none. */
function containerFields({ name, image = "" }: ContainerSpec): Labels[] {
  const repo = imageRepository(image);
  return [...new Set([repo, qualified(repo)])].map((each) => ({ name, repo: each }));
}

/** An image without tag and digest. */
export function imageRepository(image: string): string {
  const [withoutDigest = ""] = image.split("@");
  return withoutDigest.replace(/:[^/:]*$/, "");
}

/** A registry has a dot or a port in its name, or is localhost. */
function qualified(repo: string): string {
  const [first = "", ...rest] = repo.split("/");
  if (rest.length === 0) return `docker.io/library/${repo}`;
  return /[.:]|^localhost$/.test(first) ? repo : `docker.io/${repo}`;
}
