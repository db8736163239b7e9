/** Plans the writes that a policy's ConfigMaps need. Pure. */
import { hookSpecConfigMapName, LABELS } from "../../crds/names.ts";
import type { EncodedSpec } from "../compiler/compiled.ts";
import { type SpecObject, specMetadata } from "./config-map.ts";

/** The spec that every node should run. */
export interface WantedSpec {
  spec: EncodedSpec;
  hash: string;
  /**
   * Generation of the policy that it was compiled from; undefined if a restarted operator found its annotation damaged.
   */
  generation: number | undefined;
}

/** One write; a plan is run in order. */
export type SpecStep =
  | { step: "create"; name: string; revision: number; wanted: WantedSpec }
  /** The content is right; labels, annotations or immutability are not. */
  | { step: "relabel"; name: string; revision: number; wanted: WantedSpec }
  | { step: "retire"; name: string }
  | { step: "delete"; name: string; uid: string };

/**
 * Makes `wanted` the ConfigMap with the highest revision and removes those that no node needs any more. Creating or
 * relabelling comes first: an agent that sees the state in between still has what it runs.
 */
export function planSpecs(
  wanted: WantedSpec,
  existing: readonly SpecObject[],
  isInUse: (name: string) => boolean,
): SpecStep[] {
  const name = hookSpecConfigMapName(wanted.hash);
  const own = existing.find((object) => object.metadata.name === name);
  const others = existing.filter((object) => object !== own);
  const top = Math.max(0, ...others.map((object) => object.revision).filter(Number.isInteger));
  return [...planWanted(wanted, name, own, top), ...planPrevious(others, isInUse)];
}

/** Retires, then deletes: agents detach a retired spec at once, and wait after an unannounced deletion. */
export function planRemoval(existing: readonly SpecObject[]): SpecStep[] {
  return existing.flatMap((object): SpecStep[] => {
    const retire: SpecStep = { step: "retire", name: object.metadata.name };
    return [...(object.retired ? [] : [retire]), ...planDeletion(object)];
  });
}

/** The spec that ran last, for a policy whose newest generation does not compile. */
export function lastGoodOf(existing: readonly SpecObject[]): SpecObject | undefined {
  const candidates = existing.filter((object) => object.spec !== undefined && !object.retired);
  return candidates.reduce<SpecObject | undefined>(
    (best, object) => (best === undefined || rank(object) > rank(best) ? object : best),
    undefined,
  );
}

function planWanted(wanted: WantedSpec, name: string, own: SpecObject | undefined, top: number): SpecStep[] {
  if (own === undefined) return [{ step: "create", name, revision: top + 1, wanted }];
  const revision = own.revision > top ? own.revision : top + 1;
  if (own.spec === undefined) return [...planDeletion(own), { step: "create", name, revision, wanted }];
  return isInOrder(own, wanted, revision) ? [] : [{ step: "relabel", name, revision, wanted }];
}

function isInOrder(own: SpecObject, wanted: WantedSpec, revision: number): boolean {
  const { labels, annotations } = specMetadata(wanted.spec, wanted.hash, revision, wanted.generation);
  return (
    own.immutable &&
    own.metadata.labels?.[LABELS.retired] === undefined &&
    own.metadata.labels?.[LABELS.selectsNodes] === labels[LABELS.selectsNodes] &&
    own.metadata.annotations?.[LABELS.nodeSelector] === annotations[LABELS.nodeSelector] &&
    includesAll(own.metadata.labels ?? {}, labels) &&
    includesAll(own.metadata.annotations ?? {}, annotations)
  );
}

/** A readable spec stays while a node runs it or may fall back to it. */
function planPrevious(others: readonly SpecObject[], isInUse: (name: string) => boolean): SpecStep[] {
  return others
    .filter((object) => object.spec === undefined || !isInUse(object.metadata.name))
    .flatMap(planDeletion);
}

/** Nothing for an object that is being deleted already: it goes when its finalizers are removed. */
export function planDeletion({ metadata: { name, uid = "", deletionTimestamp } }: SpecObject): SpecStep[] {
  return deletionTimestamp === undefined ? [{ step: "delete", name, uid }] : [];
}

function includesAll(actual: Record<string, string>, required: Record<string, string>): boolean {
  return Object.entries(required).every(([key, value]) => actual[key] === value);
}

function rank(object: SpecObject): number {
  return Number.isInteger(object.revision) ? object.revision : -1;
}
