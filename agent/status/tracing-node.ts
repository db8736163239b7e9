/** The status of a TracingNode. Pure. */

import type { PolicyRef } from "../../crds/names.ts";
import { type FullPolicy, type PolicyPart, writeNodePolicies } from "../../crds/node-policies.ts";
import type { PolicyActivity } from "../../crds/policy-activity.ts";
import type { Hook, Kernel, Status } from "../../crds/tracingnode-v1alpha1.gen.ts";
import type { HookStatus } from "../hooks/engine.ts";
import { isTransient, type PolicyOutcome } from "../policies/outcome.ts";

/** Facts about the machine, found when the agent starts. */
export interface NodeFacts {
  agentVersion: string;
  /** RFC 3339, whole seconds. */
  bootTime?: string;
  kernel: {
    release: string;
    architecture: string;
    features: Record<string, boolean>;
    /** Why a feature is missing, by its name. */
    reasons: Record<string, string>;
  };
}

/** `status` of a TracingNode with every field that an agent writes. */
export interface TracingNodeStatus extends PolicyPart, Pick<Status, "bootTime"> {
  agentVersion: string;
  kernel: Required<Kernel>;
  lost: string;
}

/** Limit of a message, because every watcher receives the status. The agent's log has the whole verifier log. */
const MAX_MESSAGE = 512;

/** Builds the status. Equal input gives equal JSON, so that comparing the JSON detects changes. */
export function makeTracingNodeStatus(
  facts: NodeFacts,
  outcomes: readonly PolicyOutcome[],
  lostEvents = 0,
  activityOf: (ref: PolicyRef) => PolicyActivity | undefined = () => undefined,
): TracingNodeStatus {
  const { release, architecture, features, reasons } = facts.kernel;
  const missing = Object.keys(features).filter((feature) => !features[feature]);
  return {
    agentVersion: facts.agentVersion,
    ...(facts.bootTime !== undefined && { bootTime: facts.bootTime }),
    kernel: {
      release,
      architecture,
      features: sortByKey(features),
      missing: missing
        .sort()
        .map((feature) => ({ feature, reason: shorten(reasons[feature] ?? "not available") })),
    },
    lost: lowerBound(lostEvents),
    ...writeNodePolicies(
      outcomes.map((outcome) => withActivity(fullPolicy(outcome), activityOf(outcome.ref))),
    ),
  };
}

const STEPS = [5, 2, 1] as const;

/** `0`, `1+`, `2+`, `5+`, `10+` and so on: an agent that loses events all the time must not write all the time. */
function lowerBound(count: number): string {
  if (count < 1) return "0";
  const power = 10 ** Math.floor(Math.log10(count));
  const step = STEPS.find((factor) => factor * power <= count) ?? 1;
  return `${step * power}+`;
}

/** Quiet policies that are about no pods in particular cost no line. */
function withActivity(policy: FullPolicy, activity: PolicyActivity | undefined): FullPolicy {
  const isShown = activity && policy.attachedHash !== undefined;
  if (!isShown || (activity.pods === undefined && activity.perMinute === 0)) return policy;
  return { ...policy, activity };
}

function fullPolicy({ ref, message, hooks, ...rest }: PolicyOutcome): FullPolicy {
  return {
    ...ref,
    ...rest,
    ...(message !== undefined && { message: shorten(message) }),
    ...(rest.state === "Failed" && isTransient(hooks) && { retrying: true }),
    hooks: hooks.map(hookStatus),
  };
}

/**
 * Copies exactly the fields of the schema. The API server drops any other field, and then the stored status would never
 * equal the written one.
 */
function hookStatus({ path, call, state, attach, function: name, reason, message }: HookStatus): Hook {
  return {
    path,
    call,
    state,
    ...(attach !== undefined && { attach }),
    ...(name !== undefined && { function: name }),
    ...(reason !== undefined && { reason }),
    ...(message !== undefined && { message: shorten(message) }),
  };
}

function shorten(text: string): string {
  const line = text.trim().replace(/\s*\n\s*/g, " | ");
  return line.length <= MAX_MESSAGE ? line : `${line.slice(0, MAX_MESSAGE - 1)}…`;
}

function sortByKey<T>(record: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
