/**
 * The hook spec: what the compiler makes of a policy and what an agent attaches. It names nothing that differs
 * between nodes: symbols are not resolved to addresses, `host_ns` is not resolved to an inode number.
 */
import type { PolicyRef } from "./names.ts";

/** Version of this format; an agent refuses another one by name. */
export const HOOK_SPEC_VERSION = 1;

/** One policy, compiled. */
export interface HookSpec {
  version: typeof HOOK_SPEC_VERSION;
  policy: PolicyRef;
  hooks: HookDef[];
  /** Nodes that run the policy; absent means every node. */
  nodeSelector?: LabelSelector;
}

/** Kubernetes label selector, evaluated by the agent. */
export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: "In" | "NotIn" | "Exists" | "DoesNotExist"; values?: string[] }[];
}

/** Section of the policy that a hook comes from; decides which attach kinds are tried. */
export type HookSection = "kprobes" | "fentries" | "tracepoints" | "lsmhooks";

/** One hook point with what to read and when to post. */
export interface HookDef {
  /** Where it stands in the policy, for messages and status: `spec.kprobes[0]`. */
  path: string;
  section: HookSection;
  /** Kernel function as written (`commit_creds`, `sys_setuid`); for a list one hook per entry. */
  call: string;
  /** True: `call` is a system call; the agent adds the architecture's prefix (`__x64_sys_setuid`). */
  syscall: boolean;
  /** True: a function that the kernel does not have is skipped instead of failing the policy. */
  ignoreCallNotFound: boolean;
  /** Arguments in the order of the policy. */
  args: ArgDef[];
  /** Selectors in order, OR between them, first match wins; empty: every hit posts. */
  selectors: SelectorDef[];
  /** Shown with each event. */
  message?: string;
  tags?: string[];
}

/** Argument types that hooks can read; integers carry width and sign in their name. */
export type ArgType =
  | "int" | "sint8" | "int8" | "uint8" | "sint16" | "int16" | "uint16" | "uint32" | "sint32" | "int32"
  | "ulong" | "uint64" | "size_t" | "long" | "sint64" | "int64"
  | "string" | "cred" | "user_namespace" | "capability"
  | "kernel_cap_t" | "cap_inheritable" | "cap_permitted" | "cap_effective"
  | "nop";

/** One value to read at the hook. */
export interface ArgDef {
  /** Position in the function's or syscall's parameters, 0 to 4. */
  index: number;
  type: ArgType;
  /** Echoed on the argument of the event. */
  label?: string;
}

/** Filters in a selector are AND. */
export interface SelectorDef {
  label?: string;
  filters: FilterDef[];
  actions: ActionDef[];
}

/** A number as a decimal string (64-bit values do not fit a JSON number); negative for signed types. */
export type Decimal = string;

/** Both ends included. */
export type Range = [low: Decimal, high: Decimal];

/** In the order in which a policy's sections are evaluated; every filter costs instructions at each hit. */
export type FilterDef =
  | { match: "pid"; negate: boolean; values: number[]; namespacePid: boolean; followForks: boolean }
  | { match: "namespace"; negate: boolean; namespace: NamespaceName; values: (number | "host_ns")[] }
  | { match: "binary"; negate: boolean; compare: "equal" | "prefix" | "postfix"; values: string[] }
  /** `arg` is the position in HookDef.args. Equal, GT, LT, InRange and InMap all compile to ranges. */
  | { match: "arg"; arg: number; negate: boolean; compare: "range"; ranges: Range[] }
  /** True if any of the masks has a bit in common with the value. */
  | { match: "arg"; arg: number; negate: boolean; compare: "mask"; masks: Decimal[] };

/** Namespace kinds in the policy's spelling. */
export type NamespaceName =
  | "Uts" | "Ipc" | "Mnt" | "Pid" | "PidForChildren" | "Net" | "Time" | "TimeForChildren" | "Cgroup" | "User";

/** What a matching selector does. Post is implicit unless NoPost stands in the list. */
export type ActionDef =
  | { action: "Post"; rateLimit?: { intervalMs: number; scope: "thread" | "process" | "global" } }
  | { action: "NoPost" };
