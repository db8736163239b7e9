/** Encodes filters as struct filter_config. Pure. */
import { credHookOf } from "../../../crds/cred-hooks.ts";
import type {
  CredChange,
  CurrentCredField,
  FilterDef,
  HookDef,
  ReturnFilterDef,
  WorkloadScope,
} from "../../../crds/hook-spec.ts";
import { type CurrentCapabilitySet, NAMESPACES, type NamespaceName } from "../../../crds/linux.ts";
import type { FieldPath } from "../../../policy/members/field-path.ts";
import { HookError } from "../hook-error.ts";
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

/**
 * A list of processes whose descendants count as listed, too. A process is listed by the file that it runs, by its pid,
 * or by its pid in its own pid namespace.
 */
export type FollowedList =
  | { by: "path"; values: readonly string[] }
  | { by: "pid" | "namespacePid"; values: readonly number[] };

/** The parts of a config that differ between nodes and between attachments of the same definition. */
export interface Resolution {
  hookId: number;
  /** Processors that the machine may have. */
  cpus: number;
  /** Random, because a process that could predict it could hide its events behind another key of the rate limit. */
  limitSeed: [bigint, bigint];
  /** Returns the inode number of the host's namespace. */
  hostNamespace(name: NamespaceName): number;
  /** Returns the bit of a list of followed processes. */
  followBit(list: FollowedList): number;
  /** The bit of a scope in struct cgroup_scopes. */
  scopeBit(scope: WorkloadScope): number;
  /** The field paths of arguments that are not parameters themselves, by position. */
  fieldPaths?: readonly (FieldPath | undefined)[];
  /** Number of parameters in the function's prototype. */
  parameters?: number;
  /** The fields of a trace event, if these are the hook's arguments. */
  fields?: readonly FieldConfig[];
  /** The file whose hash a selector asks for. */
  hashOf?: HashOperand;
  /** The sizes of the buffers among the arguments, by position. */
  buffers?: readonly (BufferConfig | undefined)[];
}

/** The parameter with the file: a struct file, or a struct linux_binprm that has one. */
export interface HashOperand {
  parameter: number;
  ofBprm: boolean;
}

/** struct buffer_config. */
export interface BufferConfig {
  /** Upper bound of the bytes that are read. */
  limit: number;
  /** Index of the parameter that holds the size; RETURN_ARG for the value that the function returned. */
  parameter: number;
  /** Width of the size in bytes; 0 if the buffer always has `limit` bytes. */
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

/** Writes the filter at `index` into a hook's config. */
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

/** True for a filter that compares with the state that the hook reported last, which each match changes. */
export function comparesWithRemembered(filter: FilterDef | ReturnFilterDef): boolean {
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
        // NotIn means that another namespace has changed, not that the listed ones have stayed the same.
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
        // NotIn means that another capability has changed, not that the listed ones have stayed the same.
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
