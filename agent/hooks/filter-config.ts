/** What a filter becomes in the kernel: struct filter_config, and the sets that it refers to. Pure. */
import type { FilterDef, HookDef, NamespaceName } from "../../crds/hook-spec.ts";
import { ENUMERATORS as E, FILTER_CONFIG, HOOK_CONFIG } from "./config-layout.ts";
import { HookError } from "./hook-error.ts";
import type { PathTables } from "./path-tables.ts";
import { biased, type RangeTables, type UnsignedRange } from "./ranges.ts";
import { VALUE_TYPES, valueType } from "./values.ts";

/** What differs between nodes and between attachments of the same definition. */
export interface Resolution {
  hookId: number;
  /** Random: a process that could predict it could hide behind another key of the rate limit. */
  limitSeed: [bigint, bigint];
  /** Inode number of the host's namespace. */
  hostNamespace(name: NamespaceName): number;
  /** Number of parameters in the function's prototype. */
  parameters?: number;
  /** Fields of a trace event, where these are the parameters. */
  fields?: readonly FieldConfig[];
}

/** struct field_config. */
export interface FieldConfig {
  offset: number;
  size: number;
  kind: number;
}

/** Where the sets of a hook's filters are collected. */
export interface Tables {
  ranges: RangeTables;
  paths: PathTables;
}

const NAMESPACES: Record<NamespaceName, number> = {
  Uts: E.NAMESPACE_UTS,
  Ipc: E.NAMESPACE_IPC,
  Mnt: E.NAMESPACE_MNT,
  Pid: E.NAMESPACE_PID,
  PidForChildren: E.NAMESPACE_PID_FOR_CHILDREN,
  Net: E.NAMESPACE_NET,
  Time: E.NAMESPACE_TIME,
  TimeForChildren: E.NAMESPACE_TIME_FOR_CHILDREN,
  Cgroup: E.NAMESPACE_CGROUP,
  User: E.NAMESPACE_USER,
};

/** struct filter_config. */
interface FilterConfig {
  operand: number;
  index: number;
  compare: number;
  negate: boolean;
  first: number;
  count: number;
}

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

function describeFilter(
  filter: FilterDef,
  { def, resolution, tables }: { def: HookDef; resolution: Resolution; tables: Tables },
): FilterConfig {
  if (!("negate" in filter)) throw unsupported(filter);
  const { negate } = filter;
  switch (filter.match) {
    case "pid":
      return { operand: pidOperand(filter), index: 0, negate, ...numbers(filter.values, tables) };
    case "namespace": {
      const values = filter.values.map((value) =>
        value === "host_ns" ? resolution.hostNamespace(filter.namespace) : value,
      );
      return {
        operand: E.OPERAND_NAMESPACE,
        index: NAMESPACES[filter.namespace],
        negate,
        ...numbers(values, tables),
      };
    }
    case "binary":
      return { operand: E.OPERAND_EXE, index: 0, negate, ...describePaths(filter, tables) };
    case "arg":
      return { operand: E.OPERAND_ARG, index: filter.arg, negate, ...describeValues(filter, def, tables) };
    default:
      throw unsupported(filter);
  }
}

function unsupported(filter: FilterDef): HookError {
  const what = filter.match === "arg" ? `${filter.compare} on arguments` : filter.match;
  return new HookError("KernelUnsupported", `filters of ${what} are not supported`);
}

function pidOperand(filter: Extract<FilterDef, { match: "pid" }>): number {
  if (filter.followForks) {
    return filter.namespacePid ? E.OPERAND_NAMESPACE_PID_OR_ANCESTOR : E.OPERAND_PID_OR_ANCESTOR;
  }
  return filter.namespacePid ? E.OPERAND_NAMESPACE_PID : E.OPERAND_PID;
}

type Comparison = Pick<FilterConfig, "compare" | "first" | "count">;

function numbers(values: readonly number[], tables: Tables): Comparison {
  return ranges(
    values.map((value): UnsignedRange => [BigInt(value), BigInt(value)]),
    tables,
  );
}

function ranges(set: readonly UnsignedRange[], tables: Tables): Comparison {
  const { many, first, count } = tables.ranges.add(set);
  return { compare: many ? E.COMPARE_MANY_RANGES : E.COMPARE_RANGES, first, count };
}

function describeValues(
  filter: Extract<FilterDef, { match: "arg"; negate: boolean }>,
  def: HookDef,
  tables: Tables,
): Comparison {
  const arg = def.args[filter.arg];
  if (!arg)
    throw new HookError("InvalidArgument", `a filter names argument ${filter.arg} of ${def.args.length}`);
  const { kind, signed } = valueType(arg.type);
  if (kind !== VALUE_TYPES.int.kind && kind !== VALUE_TYPES.kernel_cap_t.kind) {
    throw new HookError("InvalidArgument", `an argument of type ${arg.type} has no number to compare`);
  }
  if (filter.compare === "range") {
    const set = filter.ranges.map(
      ([low, high]): UnsignedRange => [biased(BigInt(low), signed), biased(BigInt(high), signed)],
    );
    return ranges(set, tables);
  }
  if (filter.compare !== "mask") throw unsupported(filter);
  // A value has a bit in common with one of several masks exactly if it has one with their union.
  const mask = filter.masks.reduce((union, text) => union | biased(BigInt(text), false), 0n);
  return { compare: E.COMPARE_MASKS, first: tables.ranges.addMask(mask), count: 1 };
}

function describePaths(filter: Extract<FilterDef, { match: "binary" }>, tables: Tables): Comparison {
  if (filter.compare === "equal") {
    return { compare: E.COMPARE_PATHS, first: tables.paths.addPaths(filter.values), count: 0 };
  }
  const end = filter.compare === "postfix";
  const compare = end ? E.COMPARE_TAIL_PATTERNS : E.COMPARE_PATTERNS;
  return { compare, ...tables.paths.addPatterns(filter.values, end) };
}
