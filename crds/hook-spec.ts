/**
 * The hook spec: what the compiler makes of a policy and what an agent attaches. It names nothing that differs
 * between nodes: symbols are not resolved to addresses, `host_ns` is not resolved to an inode number.
 */
import type { ArgType } from "./argument-types.ts";
import type { CurrentCapabilitySet, NamespaceName } from "./linux.ts";
import type { PolicyRef } from "./names.ts";
import type { CRED_CHANGE_FIELDS, CRED_CHANGES, CURRENT_CRED_FIELDS } from "./schema/words.ts";

/** Version of this format; an agent refuses another one by name. */
export const HOOK_SPEC_VERSION = 2;

/** One policy, compiled. */
export interface HookSpec {
  version: typeof HOOK_SPEC_VERSION;
  policy: PolicyRef;
  hooks: HookDef[];
  /**
   * `enforce` when absent; `monitor`: enforcing actions are counted and not done; `count`: events are only counted, too.
   */
  mode?: "enforce" | "monitor" | "count";
  /** Nodes that run the policy; absent means every node. */
  nodeSelector?: LabelSelector;
}

/** Kubernetes label selector, evaluated by the agent. */
export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: {
    key: string;
    operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
    values?: string[];
  }[];
}

/** Which processes count, by the workload that they run in. A scope that leaves nothing out is not written. */
export interface WorkloadScope {
  /** Only pods of this namespace. */
  namespace?: string;
  /** Pods by their labels, `k8s:io.kubernetes.pod.namespace` among them; absent: no process of a pod counts. */
  pods?: LabelSelector;
  /** Which containers of these pods, by the fields `name` and `repo`; absent: all. */
  containers?: LabelSelector;
  /** Whether processes outside of pods count. */
  host: boolean;
}

/** Section of the policy that a hook comes from; decides which attach kinds are tried. */
export type HookSection = "kprobes" | "fentries" | "tracepoints" | "lsmhooks";

/** One hook point with what to read and when to post. */
export interface HookDef {
  /** Field of the policy that it comes from, for messages and status: `spec.kprobes[0]`. */
  path: string;
  section: HookSection;
  /**
   * Kernel function as written (`commit_creds`, `sys_setuid`), for a list one hook per entry; name of the LSM hook
   * (`bprm_check_security`); `SUBSYSTEM/EVENT` of a tracepoint.
   */
  call: string;
  /** Tracepoints only. Raw: arguments are those of the tracepoint itself, else fields of its trace event. */
  tracepoint?: { subsystem: string; event: string; raw: boolean };
  /** True: `call` is a system call; the agent adds the architecture's prefix (`__x64_sys_setuid`). */
  syscall: boolean;
  /** True: a function that the kernel does not have is skipped instead of failing the policy. */
  ignoreCallNotFound: boolean;
  /** `args` in the order of the policy, then `data`. */
  args: ArgDef[];
  /**
   * The event is posted when the function returns, and carries this value; of type nop: only some argument is read
   * then.
   */
  returnArg?: ReturnDef;
  /** Absent: every process of the node counts. */
  scope?: WorkloadScope;
  /** Selectors in order, OR between them, first match wins; empty: every hit posts. */
  selectors: SelectorDef[];
  /** Compare the credentials of each task that comes by with those that the kernel gave it. */
  drift?: true;
  /** Shown with each event. */
  message?: string;
  tags?: string[];
}

/** One value to read at the hook. */
export interface ArgDef {
  /**
   * Position in the parameters of the function, system call, LSM hook or raw tracepoint, 0 to 4. Of a perf tracepoint:
   * position of the field in its format, the common ones included. Without meaning, 0, where there is a source.
   */
  index: number;
  type: ArgType;
  /** Echoed on the argument of the event. */
  label?: string;
  /** An entry of `data`: where the field path of `resolve` starts instead of at the parameter. */
  source?: "current_task" | "pt_regs";
  /** Members to follow from the value: `cred.euid.val`, `group[2]`; at most 10 levels. */
  resolve?: string;
  /** Type that the value has instead of the one in its prototype. */
  btfType?: string;
  /** Kernel module whose BTF has btfType. */
  btfTypeModule?: string;
  /** Read when the function returns. */
  returnCopy?: boolean;
  /** char_buf: more bytes than usual. */
  maxData?: boolean;
  /** char_buf: the parameter that holds the size, from 1. */
  sizeArgIndex?: number;
}

/** The value that a function returns. */
export interface ReturnDef {
  type: ArgType;
  label?: string;
}

/** Filters in a selector are AND. */
export interface SelectorDef {
  label?: string;
  /** Of the processes in the scope of the hook, only these. */
  scope?: WorkloadScope;
  filters: FilterDef[];
  actions: ActionDef[];
  /** Evaluated at return; a hit that does not match them is not posted. */
  returnFilters?: ReturnFilterDef[];
  /** Done at return. */
  returnActions?: ActionDef[];
}

/** A number as a decimal string (64-bit values do not fit a JSON number); negative for signed types. */
export type Decimal = string;

/** Both ends included. */
export type Range = [low: Decimal, high: Decimal];

/** In the order in which a policy's sections are evaluated; every filter costs instructions at each hit. */
export type FilterDef =
  | { match: "pid"; negate: boolean; values: number[]; namespacePid: boolean; followForks: boolean }
  | ChangeFilterDef
  | { match: "namespace"; negate: boolean; namespace: NamespaceName; values: (number | "host_ns")[] }
  /** The set has a bit of the mask; `inNamespace`: only in a user namespace other than the initial one. */
  | { match: "capability"; negate: boolean; set: CurrentCapabilitySet; mask: Decimal; inNamespace: boolean }
  /** `of`: the process itself (when absent) or its parent; followChildren: also who descends from one of the list. */
  | {
      match: "binary";
      negate: boolean;
      compare: "equal" | "prefix" | "postfix";
      values: string[];
      of?: "self" | "parent";
      followChildren?: boolean;
    }
  /** On the credentials of the caller at the time of the call. */
  | { match: "currentCred"; negate: boolean; field: CurrentCredField; ranges: Range[] }
  /** On hooks that receive new credentials (cred-hooks.ts): one of the fields changed in this way. */
  | { match: "credChange"; fields: CredChangeField[]; change: CredChange }
  /**
   * `arg` is the position in HookDef.args. Equal, GT, LT, InRange and InMap all compile to ranges. syscalls: the numbers
   * of these system calls on the node count as values, too; ranges may be empty then.
   */
  | { match: "arg"; arg: number; negate: boolean; compare: "range"; ranges: Range[]; syscalls?: string[] }
  /** True if any of the masks has a bit in common with the value. */
  | { match: "arg"; arg: number; negate: boolean; compare: "mask"; masks: Decimal[] }
  | { match: "arg"; arg: number; negate: boolean; compare: "text"; how: TextComparison; values: string[] }
  /** `arg` holds the old set, `newArg` the new one: a bit is in the new one only. */
  | { match: "arg"; arg: number; newArg: number; compare: "gained" }
  /** Steps of a stack machine over the arguments that leave a boolean. */
  | { match: "expression"; steps: ExpressionStep[] }
  /** S_IFMT of the file's mode. */
  | { match: "arg"; arg: number; negate: boolean; compare: "fileType"; types: FileType[] };

/**
 * A constant or an argument goes onto the stack as 64 bits; the others take one (neg, not) or two values from it and put
 * their result there. An s stands before what is signed.
 */
export type ExpressionStep =
  | { op: "const"; value: Decimal }
  | { op: "arg"; arg: number }
  | { op: "add" | "sub" | "mul" | "div" | "mod" | "sdiv" | "smod" | "neg" }
  | { op: "eq" | "lt" | "le" | "slt" | "sle" | "and" | "or" | "not" };

/** A filter on what the process has changed. */
export type ChangeFilterDef =
  /** A namespace differs from what it was at exec, or when it was last found different. */
  | { match: "namespaceChange"; negate: boolean; namespaces: NamespaceName[] }
  /** A bit of the mask differs from what it was at exec, or when it was last found different. */
  | {
      match: "capabilityChange";
      negate: boolean;
      set: CurrentCapabilitySet;
      mask: Decimal;
      inNamespace: boolean;
    };

/** A filter on the return value, or on what the call has changed by then. */
export type ReturnFilterDef =
  | ChangeFilterDef
  | { match: "return"; negate: boolean; compare: "range"; ranges: Range[] }
  | { match: "return"; negate: boolean; compare: "mask"; masks: Decimal[] }
  | { match: "return"; negate: boolean; compare: "text"; how: TextComparison; values: string[] };

/** How a string is compared: as a whole, at its beginning, at its end, anywhere. */
export type TextComparison = "equal" | "prefix" | "postfix" | "substring" | "substringIgnoreCase";

/** Kinds of files. */
export type FileType = "regular" | "directory" | "symlink" | "socket" | "fifo" | "block" | "character";

/** Fields of matchCurrentCred. */
export type CurrentCredField = (typeof CURRENT_CRED_FIELDS)[number];

/** A field of credentials that can change. */
export type CredChangeField = (typeof CRED_CHANGE_FIELDS)[number];

/**
 * Raised: an id became 0 or left the unprivileged range, a capability was gained, a lock of the securebits was
 * removed, the user namespace became an ancestor, a group was added. Dropped: the opposite.
 */
export type CredChange = (typeof CRED_CHANGES)[number];

/** What a matching selector does, in order. Post is implicit unless NoPost stands in the list. */
export type ActionDef =
  | {
      action: "Post";
      rateLimit?: { intervalMs: number; scope: "thread" | "process" | "global" };
      kernelStackTrace?: boolean;
      userStackTrace?: boolean;
      imaHash?: boolean;
    }
  | { action: "NoPost" }
  | { action: "Sigkill" }
  | { action: "Signal"; signal: number }
  /** The call is not made and returns `error`, -4095 to -1; of a security_ function or an LSM hook also 1 to 4095. */
  | { action: "Override"; error: number };

/** An error in a text that should be a hook spec, with its place: `hooks[0].args[1].type`. */
export interface HookSpecError {
  /** JSON path; empty for the text as a whole. */
  path: string;
  message: string;
}

/** Whether a hook has a selector that overrides. */
export function overrides({ selectors }: Pick<HookDef, "selectors">): boolean {
  return selectors.some(({ actions }) => actions.some(({ action }) => action === "Override"));
}
