/**
 * The one codec of the policies in a TracingNode: what agents write, and what operator, CLI and tests read. Policies
 * that run as wanted take one short line each, because every change of a node costs the API server the whole object.
 * Pure.
 */
import type { NodePolicyState } from "./conditions.ts";
import { type PolicyKind, type PolicyRef, shortSpecHash } from "./names.ts";
import { type PolicyActivity, readActivity, writeActivity } from "./policy-activity.ts";
import type { Hook, Policy, Status } from "./tracingnode-v1alpha1.gen.ts";

/** A policy on a node with all its hooks, as the agent knows it. */
export interface FullPolicy extends PolicyRef {
  /** Hash of the wanted spec. */
  specHash: string;
  /** Hash of the running spec; absent when none runs. */
  attachedHash?: string;
  state: NodePolicyState;
  reason?: string;
  message?: string;
  /** The agent tries again by itself. */
  retrying?: true;
  hooks: readonly Hook[];
  /** What it does there; absent if it is quiet and about no pods in particular. */
  activity?: PolicyActivity;
}

/** A policy on a node as it is read: hashes are short, and only hooks with a problem are listed. */
export interface NodePolicy extends FullPolicy {
  hooksAttached: number;
  /** `fentry×8`, `fentry×7 kprobe×1`. */
  attach: string;
}

/** The part of the status that is about policies. */
export type PolicyPart = Pick<Status, "activity" | "attached" | "skipped"> & {
  policies: Policy[];
  policiesSummary: string;
  ready: "True" | "False";
};

const QUIET: PolicyActivity = { perMinute: 0, namespaces: [], binaries: [] };
/** Hooks that are listed of each policy: its message names some, too, and a node may have many that fail. */
const MAX_HOOKS = 2;

/** Splits policies into those that run as wanted, those that do not select the node, and the rest, which is listed. */
export function writeNodePolicies(policies: readonly FullPolicy[]): PolicyPart {
  const plain = policies.filter(isPlain);
  const skipped = policies.filter(isPlainlySkipped);
  const rest = policies.filter((policy) => !isPlain(policy) && !isPlainlySkipped(policy));
  const wanted = policies.filter(({ state }) => state !== "Skipped");
  const running = wanted.filter(({ state }) => state === "Attached" || state === "PartiallyAttached");
  const active = policies.filter(({ activity }) => activity !== undefined);
  return {
    ...(active.length > 0 && {
      activity: byName(active, ({ activity }) => writeActivity(activity ?? QUIET)),
    }),
    policiesSummary: `${running.length}/${wanted.length}`,
    ready: running.length === wanted.length ? "True" : "False",
    ...(plain.length > 0 && { attached: byName(plain, plainLine) }),
    ...(skipped.length > 0 && { skipped: byName(skipped, ({ specHash }) => shortSpecHash(specHash)) }),
    policies: rest.map(listed),
  };
}

/** A policy as it is on the wire; equal texts mean the same. */
export interface NodePolicyText {
  text: string;
  read(): NodePolicy;
}

/** Every policy of the status, whichever list it is in. */
export function readNodePolicies(status: Status | undefined): NodePolicy[] {
  return nodePolicyTexts(status).map(({ read }) => read());
}

/** The same for readers of thousands of nodes, most of which have the same policies. */
export function nodePolicyTexts(status: Status | undefined): NodePolicyText[] {
  const { activity = {}, attached = {}, skipped = {}, policies = [] } = status ?? {};
  const textOf = (text: string, name: string, read: () => NodePolicy): NodePolicyText => {
    const line = activity[name];
    if (line === undefined) return { text, read };
    return { text: `${text}\n${line}`, read: () => ({ ...read(), activity: readActivity(line) }) };
  };
  return [
    ...Object.entries(attached).map(([name, line]) =>
      textOf(`attached ${name} ${line}`, name, () => readPlain(name, line)),
    ),
    ...Object.entries(skipped).map(([name, hash]) =>
      textOf(`skipped ${name} ${hash}`, name, () => readSkipped(name, hash)),
    ),
    ...policies.map((policy) => textOf(JSON.stringify(policy), nameOf(policy), () => readListed(policy))),
  ];
}

/** `fentry×7 kprobe×1`, in the order of the names. */
function countKinds(hooks: readonly Pick<Hook, "attach" | "state">[]): string {
  const counts = new Map<string, number>();
  for (const { attach = "unknown", state } of hooks)
    if (state === "Attached") counts.set(attach, (counts.get(attach) ?? 0) + 1);
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, count]) => `${kind}×${count}`)
    .join(" ");
}

function isPlain({ state, specHash, attachedHash, message }: FullPolicy): boolean {
  return state === "Attached" && attachedHash === specHash && message === undefined;
}

/** Every other reason than that of the selector is listed. */
function isPlainlySkipped({ state, reason, attachedHash }: FullPolicy): boolean {
  return state === "Skipped" && reason === "NodeNotSelected" && attachedHash === undefined;
}

function plainLine({ specHash, hooks }: FullPolicy): string {
  return `${shortSpecHash(specHash)} ${countKinds(hooks)}`.trimEnd();
}

function listed({ hooks, activity: _, ...policy }: FullPolicy): Policy {
  const missing = hooks.filter(({ state }) => state !== "Attached");
  const attached = hooks.length - missing.length;
  const attach = countKinds(hooks);
  return {
    ...policy,
    hooksAttached: attached,
    ...(attach !== "" && { attach }),
    hooks: missing.slice(0, MAX_HOOKS),
  };
}

function byName(
  policies: readonly FullPolicy[],
  line: (policy: FullPolicy) => string,
): Record<string, string> {
  return Object.fromEntries(policies.map((policy) => [nameOf(policy), line(policy)]));
}

/** `NAME`, or `NAMESPACE/NAME` of the namespaced kind. */
function nameOf({ namespace, name }: Pick<PolicyRef, "namespace" | "name">): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function refOf(text: string): PolicyRef {
  const [first = "", second] = text.split("/");
  return second === undefined
    ? { kind: "TracingPolicy", name: first }
    : { kind: "TracingPolicyNamespaced", namespace: first, name: second };
}

function readPlain(name: string, line: string): NodePolicy {
  const [hash = "", ...kinds] = line.split(" ");
  const hooksAttached = kinds.reduce((sum, kind) => sum + (Number(kind.split("×")[1]) || 0), 0);
  const attach = kinds.join(" ");
  return {
    ...refOf(name),
    specHash: hash,
    attachedHash: hash,
    state: "Attached",
    hooksAttached,
    attach,
    hooks: [],
  };
}

function readSkipped(name: string, specHash: string): NodePolicy {
  return {
    ...refOf(name),
    specHash,
    state: "Skipped",
    reason: "NodeNotSelected",
    hooksAttached: 0,
    attach: "",
    hooks: [],
  };
}

/** Agents of earlier versions list every hook and count none. */
function readListed(policy: Policy): NodePolicy {
  const {
    kind,
    name,
    namespace,
    specHash,
    attachedHash,
    state,
    reason,
    message,
    retrying,
    hooks = [],
  } = policy;
  return {
    kind: kind as PolicyKind,
    name,
    ...(namespace !== undefined && { namespace }),
    specHash: shortSpecHash(specHash),
    ...(attachedHash !== undefined && { attachedHash: shortSpecHash(attachedHash) }),
    state,
    ...(reason !== undefined && { reason }),
    ...(message !== undefined && { message }),
    ...(retrying === true && { retrying }),
    hooksAttached: policy.hooksAttached ?? hooks.filter((hook) => hook.state === "Attached").length,
    attach: policy.attach ?? countKinds(hooks),
    hooks: hooks.filter((hook) => hook.state !== "Attached"),
  };
}
