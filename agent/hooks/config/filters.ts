/** What a filter becomes in the kernel: struct filter_config. Pure. */
import { credHookOf } from "../../../crds/cred-hooks.ts";
import type { CredChange, CurrentCredField, FilterDef, HookDef } from "../../../crds/hook-spec.ts";
import { type CurrentCapabilitySet, NAMESPACES, type NamespaceName } from "../../../crds/linux.ts";
import { HookError } from "../hook-error.ts";
import type { Walk } from "../kernel/field-path.ts";
import { describeArgument, describeExpression, describeGained } from "./argument-filters.ts";
import {
  bits,
  compareTexts,
  type FilterConfig,
  mask,
  numbers,
  type Tables,
  valueRanges,
} from "./comparisons.ts";
import { ENUMERATORS as E, FILTER_CONFIG, HOOK_CONFIG } from "./layout.ts";
import { CRED_FIELD_NUMBERS, capabilitySet, namespaceKind } from "./linux-enumerators.ts";

/** Processes that are followed to what they start: those that run a file, or have a pid (in their own pid namespace). */
export type FollowedList =
  | { by: "path"; values: readonly string[] }
  | { by: "pid" | "namespacePid"; values: readonly number[] };

/** What differs between nodes and between attachments of the same definition. */
export interface Resolution {
  hookId: number;
  /** Random: a process that could predict it could hide behind another key of the rate limit. */
  limitSeed: [bigint, bigint];
  /** Inode number of the host's namespace. */
  hostNamespace(name: NamespaceName): number;
  /** The bit of a list whose processes are followed to what they start. */
  followBit(list: FollowedList): number;
  /** How arguments are found that are no parameters, by position. */
  walks?: readonly (Walk | undefined)[];
  /** Number of parameters in the function's prototype. */
  parameters?: number;
  /** Fields of a trace event, where these are the parameters. */
  fields?: readonly FieldConfig[];
  /** Whose hash a selector asks for. */
  hashOf?: HashOperand;
  /** How many bytes the buffers among the arguments have, by position. */
  buffers?: readonly (BufferConfig | undefined)[];
}

/** A parameter that is a file, or a linux_binprm that has one. */
export interface HashOperand {
  parameter: number;
  ofBprm: boolean;
}

/** struct buffer_config. */
export interface BufferConfig {
  /** Most bytes that are read. */
  limit: number;
  /** That holds the size; RETURN_ARG: what the function returned. */
  parameter: number;
  /** Bytes of the size; 0: there are `limit` bytes. */
  width: 0 | 1 | 2 | 4 | 8;
  signed: boolean;
}

/** struct field_config. */
export interface FieldConfig {
  offset: number;
  size: number;
  kind: number;
}

const ALL_NAMESPACES = bits(NAMESPACES.map(namespaceKind));
const LAST = (1n << 64n) - 1n;

const CURRENT_CRED: Record<CurrentCredField, number> = {
  uid: E.CURRENT_UID,
  euid: E.CURRENT_EUID,
  suid: E.CURRENT_SUID,
  fsuid: E.CURRENT_FSUID,
  gid: E.CURRENT_GID,
  egid: E.CURRENT_EGID,
  sgid: E.CURRENT_SGID,
  fsgid: E.CURRENT_FSGID,
  auid: E.CURRENT_AUID,
  securebits: E.CURRENT_SECUREBITS,
  noNewPrivs: E.CURRENT_NO_NEW_PRIVS,
  userNamespaceLevel: E.CURRENT_USER_NS_LEVEL,
};

const CRED_CHANGES: Record<CredChange, number> = {
  Changed: E.CRED_CHANGED,
  Raised: E.CRED_RAISED,
  Dropped: E.CRED_DROPPED,
};

/** Writes filter `index` of a hook into its config. */
export function encodeFilter(
  view: DataView,
  index: number,
  filter: FilterDef,
  context: { def: HookDef; resolution: Resolution; tables: Tables },
): void {
  const { operand, index: part, compare, negate, first, count } = describeFilter(filter, context);
  const base = HOOK_CONFIG.members.filter + index * FILTER_CONFIG.size;
  const at = FILTER_CONFIG.members;
  view.setUint8(base + at.operand, operand);
  view.setUint8(base + at.index, part);
  view.setUint8(base + at.compare, compare);
  view.setUint8(base + at.negate, negate ? 1 : 0);
  view.setUint32(base + at.first, first, true);
  view.setUint32(base + at.count, count, true);
}

/** True for a filter whose match changes what it is compared with from then on. */
export function comparesWithRemembered(filter: FilterDef): boolean {
  return filter.match === "capabilityChange" || filter.match === "namespaceChange";
}

function describeFilter(
  filter: FilterDef,
  { def, resolution, tables }: { def: HookDef; resolution: Resolution; tables: Tables },
): FilterConfig {
  if (filter.match === "credChange") return describeCredChange(filter, def);
  if (filter.match === "expression") return describeExpression(filter, def, tables);
  if (filter.match === "arg" && filter.compare === "gained") return describeGained(filter, def);
  const { negate } = filter;
  switch (filter.match) {
    case "pid":
      return {
        operand: pidOperand(filter),
        index: filter.followForks ? resolution.followBit(pidList(filter)) : 0,
        negate,
        ...numbers(filter.values, tables),
      };
    case "namespace": {
      const values = filter.values.map((value) =>
        value === "host_ns" ? resolution.hostNamespace(filter.namespace) : value,
      );
      return {
        operand: E.OPERAND_NAMESPACE,
        index: namespaceKind(filter.namespace),
        negate,
        ...numbers(values, tables),
      };
    }
    case "namespaceChange":
      return {
        operand: E.OPERAND_NAMESPACE_CHANGE,
        index: 0,
        compare: E.COMPARE_RANGES,
        negate: false,
        // NotIn means that another namespace has changed, not that these have not.
        first: bits(filter.namespaces.map(namespaceKind)) ^ (negate ? ALL_NAMESPACES : 0),
        count: 0,
      };
    case "capability":
      return {
        operand: E.OPERAND_CAPABILITY,
        index: capabilityIndex(filter),
        negate,
        ...mask(BigInt(filter.mask), tables),
      };
    case "capabilityChange":
      return {
        operand: E.OPERAND_CAPABILITY_CHANGE,
        index: capabilityIndex(filter),
        negate: false,
        // NotIn means that another capability has changed, not that these have not.
        ...mask(BigInt(filter.mask) ^ (negate ? LAST : 0n), tables),
      };
    case "currentCred":
      return {
        operand: E.OPERAND_CRED,
        index: CURRENT_CRED[filter.field],
        negate,
        ...valueRanges(filter.ranges, false, tables),
      };
    case "binary":
      return {
        operand: E.OPERAND_EXE,
        index: exeFlags(filter),
        negate,
        ...compareTexts(filter, tables),
        ...(filter.followChildren && { count: resolution.followBit({ by: "path", values: filter.values }) }),
      };
    case "arg":
      return describeArgument(filter, def, tables);
  }
}

function describeCredChange(filter: Extract<FilterDef, { match: "credChange" }>, def: HookDef): FilterConfig {
  if (!credHookOf(def)) {
    throw new HookError("InvalidArgument", `matchCredChanges: ${def.call} receives no new credentials`);
  }
  const first = bits(filter.fields.map((field) => CRED_FIELD_NUMBERS[field]));
  const index = CRED_CHANGES[filter.change];
  return { operand: E.OPERAND_CRED_CHANGE, index, compare: E.COMPARE_RANGES, negate: false, first, count: 0 };
}

function capabilityIndex({ set, inNamespace }: { set: CurrentCapabilitySet; inNamespace: boolean }): number {
  return capabilitySet(set) | (inNamespace ? E.IN_NAMESPACE : 0);
}

function pidOperand(filter: Extract<FilterDef, { match: "pid" }>): number {
  if (filter.followForks) {
    return filter.namespacePid ? E.OPERAND_NAMESPACE_PID_OR_ANCESTOR : E.OPERAND_PID_OR_ANCESTOR;
  }
  return filter.namespacePid ? E.OPERAND_NAMESPACE_PID : E.OPERAND_PID;
}

function pidList({ namespacePid, values }: Extract<FilterDef, { match: "pid" }>): FollowedList {
  return { by: namespacePid ? "namespacePid" : "pid", values };
}

function exeFlags({ of, followChildren }: Extract<FilterDef, { match: "binary" }>): number {
  return (of === "parent" ? E.EXE_OF_PARENT : 0) | (followChildren ? E.EXE_OR_ANCESTOR : 0);
}
