/** What a filter becomes in the kernel: struct filter_config, and the sets that it refers to. Pure. */
import { CRED_CHANGE_FIELDS, credHookOf } from "../../crds/cred-hooks.ts";
import type {
  CapabilitySetName,
  CredChange,
  CurrentCredField,
  Decimal,
  ExpressionStep,
  FileType,
  FilterDef,
  HookDef,
  NamespaceName,
  Range,
  TextComparison,
} from "../../crds/hook-spec.ts";
import type { AutomatonTables } from "./automata.ts";
import type { BufferConfig } from "./buffers.ts";
import { ENUMERATORS as E, FILTER_CONFIG, HOOK_CONFIG, MAX_EXPRESSION_STEPS } from "./config-layout.ts";
import { HookError } from "./hook-error.ts";
import type { PathTables } from "./path-tables.ts";
import { biased, type RangeTables, type UnsignedRange } from "./ranges.ts";
import type { Walk } from "./resolve.ts";
import type { FollowedList } from "./running.ts";
import { isBuffer, isPath, isText, VALUE_KINDS, type ValueType, valueType } from "./values.ts";

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
  automata: AutomatonTables;
  expressions: ExpressionStep[];
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

const ALL_NAMESPACES = (1 << Object.keys(NAMESPACES).length) - 1;
const LAST = (1n << 64n) - 1n;

const CAPABILITY_SETS: Record<CapabilitySetName, number> = {
  Effective: E.CAPABILITIES_EFFECTIVE,
  Inheritable: E.CAPABILITIES_INHERITABLE,
  Permitted: E.CAPABILITIES_PERMITTED,
};

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

/** S_IFMT of a mode, shifted down. */
const FILE_TYPES: Record<FileType, number> = {
  fifo: 0o01,
  character: 0o02,
  directory: 0o04,
  block: 0o06,
  regular: 0o10,
  symlink: 0o12,
  socket: 0o14,
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
        index: NAMESPACES[filter.namespace],
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
        first: bits(filter.namespaces.map((name) => NAMESPACES[name])) ^ (negate ? ALL_NAMESPACES : 0),
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
        ...describeTexts(filter, tables),
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
  const first = bits(filter.fields.map((field) => CRED_CHANGE_FIELDS.indexOf(field)));
  const index = CRED_CHANGES[filter.change];
  return { operand: E.OPERAND_CRED_CHANGE, index, compare: E.COMPARE_RANGES, negate: false, first, count: 0 };
}

function describeGained(filter: Extract<FilterDef, { compare: "gained" }>, def: HookDef): FilterConfig {
  for (const position of [filter.arg, filter.newArg]) checkNumber(def, position);
  const { arg: index, newArg: first } = filter;
  return { operand: E.OPERAND_GAINED, index, compare: E.COMPARE_MASKS, negate: false, first, count: 0 };
}

function describeExpression(
  { steps }: Extract<FilterDef, { match: "expression" }>,
  def: HookDef,
  { expressions }: Tables,
): FilterConfig {
  for (const step of steps) if (step.op === "arg") checkNumber(def, step.arg);
  const first = expressions.length;
  expressions.push(...steps);
  if (expressions.length > MAX_EXPRESSION_STEPS) {
    throw new HookError(
      "InvalidArgument",
      `the hook's expressions have ${expressions.length} steps, at most ${MAX_EXPRESSION_STEPS} are possible`,
    );
  }
  const place = { first, count: steps.length };
  return { operand: E.OPERAND_EXPRESSION, index: 0, compare: E.COMPARE_RANGES, negate: false, ...place };
}

function capabilityIndex({ set, inNamespace }: { set: CapabilitySetName; inNamespace: boolean }): number {
  return CAPABILITY_SETS[set] | (inNamespace ? E.IN_NAMESPACE : 0);
}

function bits(positions: readonly number[]): number {
  return positions.reduce((sum, position) => sum | (1 << position), 0);
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

function mask(bitsOfMask: bigint, tables: Tables): Comparison {
  return { compare: E.COMPARE_MASKS, first: tables.ranges.addMask(bitsOfMask), count: 1 };
}

function valueRanges(set: readonly Range[], signed: boolean, tables: Tables): Comparison {
  return ranges(
    set.map(([low, high]): UnsignedRange => [biased(BigInt(low), signed), biased(BigInt(high), signed)]),
    tables,
  );
}

type NumberFilter = { compare: "range"; ranges: Range[] } | { compare: "mask"; masks: Decimal[] };

function compareNumber(filter: NumberFilter, signed: boolean, tables: Tables): Comparison {
  if (filter.compare === "range") return valueRanges(filter.ranges, signed, tables);
  // A value has a bit in common with one of several masks exactly if it has one with their union.
  return mask(
    filter.masks.reduce((union, text) => union | biased(BigInt(text), false), 0n),
    tables,
  );
}

/** Throws unless the argument is one that the kernel side can compare as a number; returns whether it is signed. */
function checkNumber(def: HookDef, position: number): boolean {
  const { kind, signed } = typeOfArgument(def, position);
  if (kind !== VALUE_KINDS.VALUE_INTEGER && kind !== VALUE_KINDS.VALUE_CAPABILITY_SET) {
    throw unfit(def, position, "number");
  }
  return signed;
}

function typeOfArgument(def: HookDef, position: number): ValueType {
  const arg = def.args[position];
  if (arg) return valueType(arg);
  throw new HookError("InvalidArgument", `a filter names argument ${position} of ${def.args.length}`);
}

function unfit(def: HookDef, position: number, what: string): HookError {
  const type = def.args[position]?.type;
  return new HookError("InvalidArgument", `an argument of type ${type} has no ${what} to compare`);
}

function describeArgument(
  filter: Exclude<Extract<FilterDef, { match: "arg" }>, { compare: "gained" }>,
  def: HookDef,
  tables: Tables,
): FilterConfig {
  const { arg: index, negate } = filter;
  switch (filter.compare) {
    case "text": {
      checkText(def, index);
      const { how: compare } = filter;
      const values = filter.values.map(withoutZeros(typeOfArgument(def, index), compare));
      return { operand: E.OPERAND_TEXT, index, negate, ...describeTexts({ compare, values }, tables) };
    }
    case "fileType": {
      if (!isPath(typeOfArgument(def, index))) throw unfit(def, index, "kind of file");
      const kinds = bits(filter.types.map((type) => FILE_TYPES[type]));
      return { operand: E.OPERAND_FILE_TYPE, index, negate, ...mask(BigInt(kinds), tables) };
    }
    default:
      return {
        operand: E.OPERAND_ARG,
        index,
        negate,
        ...compareNumber(filter, checkNumber(def, index), tables),
      };
  }
}

function checkText(def: HookDef, position: number): void {
  if (!isText(typeOfArgument(def, position))) throw unfit(def, position, "text");
}

/** Upstream's policies write the NUL that ends a string. Of a buffer as a whole, zeros at its end do not count. */
function withoutZeros(type: ValueType, how: TextComparison): (value: string) => string {
  if (!isBuffer(type)) return (value) => value.replace(/\0$/, "");
  return how === "equal" ? (value) => value.replace(/\0+$/, "") : (value) => value;
}

function exeFlags({ of, followChildren }: Extract<FilterDef, { match: "binary" }>): number {
  return (of === "parent" ? E.EXE_OF_PARENT : 0) | (followChildren ? E.EXE_OR_ANCESTOR : 0);
}

function describeTexts(
  { compare, values }: { compare: TextComparison; values: readonly string[] },
  tables: Tables,
): Comparison {
  if (compare === "equal")
    return { compare: E.COMPARE_PATHS, first: tables.paths.addPaths(values), count: 0 };
  if (compare === "substring" || compare === "substringIgnoreCase") {
    const first = tables.automata.add(values, compare === "substringIgnoreCase");
    return { compare: E.COMPARE_SUBSTRINGS, first, count: 0 };
  }
  const end = compare === "postfix";
  return {
    compare: end ? E.COMPARE_TAIL_PATTERNS : E.COMPARE_PATTERNS,
    ...tables.paths.addPatterns(values, end),
  };
}
