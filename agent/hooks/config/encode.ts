/** Encodes a hook's definition for the kernel: the bytes of struct hook_config and of the hook's maps. Pure. */
import { credHookOf } from "../../../crds/cred-hooks.ts";
import type { ExpressionStep, HookDef } from "../../../crds/hook-spec.ts";
import { seesEverySyscall } from "../../../crds/syscall-abis.ts";
import { CRED_CHANGE_SIZE, HASH_SIZE, SLOT_SIZE, STACK_FRAMES } from "../../records/layout.ts";
import { HookError } from "../hook-error.ts";
import { AutomatonTables } from "./automata.ts";
import type { Tables } from "./comparisons.ts";
import { counterSlots } from "./counter-slots.ts";
import type { Resolution } from "./filters.ts";
import { encodeGate } from "./gate.ts";
import {
  CALL_HEAD_BYTES,
  CRED_HOOK_CONFIG,
  CRED_SCRATCH_BYTES,
  ENUMERATORS as E,
  ENTRY_BYTES,
  EXPRESSION_STEP,
  HOOK_CONFIG,
  MAX_ARGS,
  MAX_FILTERS,
  MAX_SELECTORS,
  VALUE_RANGE,
} from "./layout.ts";
import { PathTables } from "./path-tables.ts";
import { RangeTables, type UnsignedRange } from "./ranges.ts";
import { encodeScope, isScoped } from "./scopes.ts";
import { encodeSelectors, hashes, isEnforcing, rateLimitOf, remembers, stackTraces } from "./selectors.ts";
import { isPath, type ValueType, valueType } from "./value-types.ts";
import {
  encodeArgs,
  encodeBuffers,
  encodeFields,
  encodeLate,
  type LateValue,
  lateValues,
  STRING_SLACK,
} from "./values.ts";

/** The content of the hook's own maps. */
export interface ConfigImage {
  /** struct hook_config. */
  config: Uint8Array;
  /** Elements of hook_ranges. */
  ranges: Uint8Array[];
  /** Entries of hook_paths. */
  paths: ReadonlyMap<string, bigint>;
  /** Elements of hook_patterns. */
  patterns: readonly Uint8Array[];
  /** Value of hook_automata; empty where no filter needs it. */
  automata: Uint8Array;
  /** Size of the hook's scratch value; 0 when records are built in the ring. */
  scratchBytes: number;
  rateLimited: boolean;
  /** The hook reads paths or compares strings, so it needs scratch memory for them. */
  texts: boolean;
  /** A filter compares with the state that the hook reported last. */
  remembers: boolean;
  /** The hook has enforcing actions, which depend on the mode. */
  enforcing: boolean;
  /** Size of a value of hook_calls; 0 if no record has to wait for the function to return, or for a hash. */
  callBytes: number;
}

/** Spare bytes behind all values. Sizes are rounded up to 8: the verifier assumes up to 7 bytes more for each value. */
const SCRATCH_SLACK = STRING_SLACK + 8 * (MAX_ARGS + 1);

/** The kernel's limit for a value of a per-CPU array. */
const MAX_SCRATCH_BYTES = 32 << 10;

/** Size of the addresses of one stack trace. */
const STACK_BYTES = STACK_FRAMES * 8;

/** Encodes a hook. Throws a HookError that names the limit if the definition exceeds one. */
export function encodeConfig(def: HookDef, resolution: Resolution): ConfigImage {
  checkCounts(def);
  const record = planRecord(def);
  const config = new Uint8Array(HOOK_CONFIG.size);
  const view = new DataView(config.buffer);
  encodeHead(view, def, resolution, record);
  encodeValues(view, def, resolution, record);
  const tables: Tables = {
    ranges: new RangeTables(),
    paths: new PathTables(),
    automata: new AutomatonTables(),
    expressions: [],
  };
  encodeSelectors(view, def, resolution, tables);
  encodeGate(view, def.selectors[0]?.filters.length ?? 0);
  for (const [index, range] of tables.ranges.inline.entries()) {
    encodeRange(view, HOOK_CONFIG.members.range + index * VALUE_RANGE.size, range);
  }
  encodeExpressions(view, tables.expressions);
  const automata = tables.automata.bytes();
  view.setUint32(HOOK_CONFIG.members.automata_mask, Math.max(0, automata.length - ENTRY_BYTES), true);
  return {
    config,
    automata,
    ranges: tables.ranges.many.map(rangeBytes),
    paths: tables.paths.paths,
    patterns: tables.paths.patterns,
    scratchBytes: Math.max(
      record.aside ? record.scratchBytes : 0,
      comparesCreds(def) ? CRED_SCRATCH_BYTES : 0,
    ),
    rateLimited: isRateLimited(def),
    enforcing: isEnforcing(def),
    callBytes: record.kept ? record.scratchBytes : 0,
    texts: argTypes(def).some(isPath) || comparesTexts(def),
    remembers: def.selectors.some(remembers),
  };
}

/** How the hook's record is built. */
interface RecordPlan {
  /** Upper bound of the record's size. */
  recordBytes: number;
  scratchBytes: number;
  /** The record is built in the hook's own memory, and copied to the ring when its final size is known. */
  aside: boolean;
  /** The record waits in hook_calls for the function to return, or for a hash. */
  kept: boolean;
  late: readonly LateValue[];
}

/** Plans the record; throws a HookError if it may become too long. */
function planRecord(def: HookDef): RecordPlan {
  const stacks = stackTraces(def);
  const hashed = hashes(def);
  const late = lateValues(def);
  const recordBytes =
    late.end +
    (credHookOf(def) ? CRED_CHANGE_SIZE : 0) +
    stacks * (SLOT_SIZE + STACK_BYTES) +
    (hashed ? SLOT_SIZE + HASH_SIZE : 0);
  const kept = def.returnArg !== undefined || hashed;
  const varies = stacks > 0 || argTypes(def).some((type) => type.varies);
  const aside = kept || varies || isRateLimited(def);
  const scratchBytes = recordBytes + SCRATCH_SLACK + (kept ? CALL_HEAD_BYTES : 0);
  if (aside && scratchBytes > MAX_SCRATCH_BYTES) {
    const message = `the hook's values take up to ${scratchBytes} bytes, at most ${MAX_SCRATCH_BYTES} are possible`;
    throw new HookError("InvalidArgument", message);
  }
  return { recordBytes, scratchBytes, aside, kept, late: late.values };
}

function isRateLimited(def: HookDef): boolean {
  return def.selectors.some((selector) => rateLimitOf(selector) !== undefined);
}

function encodeHead(view: DataView, def: HookDef, resolution: Resolution, record: RecordPlan): void {
  const at = HOOK_CONFIG.members;
  view.setUint32(at.hook_id, resolution.hookId, true);
  view.setUint32(at.flags, hookFlags(def, resolution) | (record.aside ? E.HOOK_SCRATCH : 0), true);
  view.setUint32(at.record_size, record.recordBytes, true);
  view.setUint16(at.args, def.args.length, true);
  view.setUint16(at.selectors, def.selectors.length, true);
  view.setBigUint64(at.limit_seed, resolution.limitSeed[0], true);
  view.setBigUint64(at.limit_seed + 8, resolution.limitSeed[1], true);
  view.setUint16(at.parameters, resolution.parameters ?? 0, true);
  view.setUint8(at.hash_parameter, resolution.hashOf?.parameter ?? 0);
  encodeScope(view, at, def.scope, resolution);
  view.setUint16(at.cpu_mask, counterSlots(resolution.cpus) - 1, true);
}

function encodeValues(
  view: DataView,
  def: HookDef,
  { fields, fieldPaths, buffers }: Resolution,
  { late }: RecordPlan,
): void {
  encodeFields(view, fields ?? []);
  encodeCredHook(view, def);
  encodeArgs(view, def, fieldPaths ?? []);
  encodeBuffers(view, def, buffers ?? []);
  for (const value of late) encodeLate(view, value);
}

function argTypes(def: HookDef): ValueType[] {
  return def.args.map((arg) => valueType(arg));
}

/** If the arguments are fields of a trace event, those of a system call are not in registers. */
function hookFlags(def: HookDef, { fields, hashOf }: Resolution): number {
  return (
    (def.syscall && !fields ? E.HOOK_SYSCALL : 0) |
    (def.returnArg ? E.HOOK_RETURN : 0) |
    (hashOf ? E.HOOK_HASH : 0) |
    (hashOf?.ofBprm ? E.HOOK_HASH_OF_BPRM : 0) |
    (credHookOf(def) ? E.HOOK_CRED_CHANGE : 0) |
    (isScoped(def) ? E.HOOK_SCOPED : 0) |
    (showsSyscall(def) ? E.HOOK_IN_SYSCALL : 0)
  );
}

/** Whether records have the system call that the task is in: at calls, at the entry of all, and where credentials change. */
function showsSyscall(def: HookDef): boolean {
  const isCall = (def.syscall && def.section === "kprobes") || seesEverySyscall(def);
  return isCall || credHookOf(def) !== undefined;
}

function comparesTexts(def: HookDef): boolean {
  return def.selectors.some(({ filters }) =>
    filters.some((filter) => filter.match === "arg" && filter.compare === "text"),
  );
}

function comparesCreds(def: HookDef): boolean {
  return def.selectors.some(({ filters }) => filters.some((filter) => filter.match === "credChange"));
}

function encodeCredHook(view: DataView, def: HookDef): void {
  const hook = credHookOf(def);
  if (!hook) return;
  const at = CRED_HOOK_CONFIG.members;
  const write = (member: number, value: number) => view.setUint8(HOOK_CONFIG.members.cred + member, value);
  write(at.old_source, hook.old === "current" ? E.CRED_OF_CURRENT : E.CRED_PARAMETER);
  write(at.old_parameter, hook.old === "current" ? 0 : hook.old);
  write(at.new_source, typeof hook.new === "number" ? E.CRED_PARAMETER : E.CRED_OF_BPRM);
  write(at.new_parameter, typeof hook.new === "number" ? hook.new : hook.new.newOfBprm);
}

function encodeExpressions(view: DataView, steps: readonly ExpressionStep[]): void {
  const at = EXPRESSION_STEP.members;
  steps.forEach((step, index) => {
    const base = HOOK_CONFIG.members.expression + index * EXPRESSION_STEP.size;
    view.setUint8(base + at.op, E[`EXPRESSION_${step.op.toUpperCase() as Uppercase<ExpressionStep["op"]>}`]);
    if (step.op === "arg") view.setUint8(base + at.arg, step.arg);
    if (step.op === "const") view.setBigUint64(base + at.value, BigInt.asUintN(64, BigInt(step.value)), true);
  });
}

function encodeRange(view: DataView, at: number, [low, high]: UnsignedRange): void {
  view.setBigUint64(at + VALUE_RANGE.members.low, low, true);
  view.setBigUint64(at + VALUE_RANGE.members.high, high, true);
}

function rangeBytes(range: UnsignedRange): Uint8Array {
  const bytes = new Uint8Array(VALUE_RANGE.size);
  encodeRange(new DataView(bytes.buffer), 0, range);
  return bytes;
}

function checkCounts(def: HookDef): void {
  checkCount("args", def.args.length, MAX_ARGS);
  checkCount("selectors", def.selectors.length, MAX_SELECTORS);
  checkCount(
    "filters in all selectors",
    def.selectors.flatMap((selector) => [...selector.filters, ...(selector.returnFilters ?? [])]).length,
    MAX_FILTERS,
  );
}

function checkCount(what: string, count: number, limit: number): void {
  if (count > limit) {
    throw new HookError("InvalidArgument", `the hook has ${count} ${what}, at most ${limit} are possible`);
  }
}
