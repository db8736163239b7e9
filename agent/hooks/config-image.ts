/** What a hook's definition becomes in the kernel: the bytes of struct hook_config and of the hook's maps. Pure. */
import { credHookOf } from "../../crds/cred-hooks.ts";
import type { ArgDef, ExpressionStep, HookDef } from "../../crds/hook-spec.ts";
import { AutomatonTables } from "./automata.ts";
import type { BufferConfig } from "./buffers.ts";
import type { Tables } from "./comparisons.ts";
import {
  ARG_SLOT_BYTES,
  BUFFER_CONFIG,
  CALL_HEAD_BYTES,
  CRED_CHANGE_BYTES,
  CRED_HOOK_CONFIG,
  CRED_SCRATCH_BYTES,
  ENUMERATORS as E,
  ENTRY_BYTES,
  EXPRESSION_STEP,
  FIELD_CONFIG,
  HASH_BYTES,
  HOOK_CONFIG,
  HOOK_RECORD_BYTES,
  LATE_CONFIG,
  MAX_ARGS,
  MAX_FILTERS,
  MAX_SELECTORS,
  MAX_STEPS_OF_VALUE,
  RETURN_ARG,
  VALUE_CONFIG,
  VALUE_RANGE,
} from "./config-layout.ts";
import type { FieldConfig, Resolution } from "./filter-config.ts";
import { HookError } from "./hook-error.ts";
import { PathTables } from "./path-tables.ts";
import { RangeTables, type UnsignedRange } from "./ranges.ts";
import type { Walk } from "./resolve.ts";
import {
  encodeSelectors,
  hashes,
  isEnforcing,
  rateLimitOf,
  remembers,
  stackTraces,
} from "./selector-config.ts";
import { isBuffer, isPath, type ValueType, valueType } from "./values.ts";

/** Everything that the hook's own maps hold. */
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
  /** It puts paths together, or compares texts. */
  texts: boolean;
  /** A filter compares with what the hook has reported last. */
  remembers: boolean;
  /** Some of its actions are more than telling: they depend on the mode. */
  enforcing: boolean;
  /** Size of a value of hook_calls; 0 where nothing waits for the function to return, or for a hash. */
  callBytes: number;
}

/** Room behind the last string: two bytes more are read to see whether it was cut, and 8 zeros end it. */
const STRING_SLACK = 16;

/** Room behind all of them: rounded up to 8, each seems 7 bytes longer to the verifier than it can be. */
const SCRATCH_SLACK = STRING_SLACK + 8 * (MAX_ARGS + 1);

/** What the kernel gives a value of a per-CPU array at most. */
const MAX_SCRATCH_BYTES = 32 << 10;

/** Addresses of one stack trace: STACK_BYTES of bpf/include/stack.h. */
const STACK_BYTES = 64 * 8;

/** Throws a HookError that names the limit where the definition exceeds one. */
export function encodeConfig(def: HookDef, resolution: Resolution): ConfigImage {
  checkCount("args", def.args.length, MAX_ARGS);
  checkCount("selectors", def.selectors.length, MAX_SELECTORS);
  checkCount(
    "filters in all selectors",
    def.selectors.flatMap((selector) => [...selector.filters, ...(selector.returnFilters ?? [])]).length,
    MAX_FILTERS,
  );

  const rateLimited = def.selectors.some((selector) => rateLimitOf(selector) !== undefined);
  const stacks = stackTraces(def);
  const hashed = hashes(def);
  const aside = rateLimited || hashed || stacks > 0 || argTypes(def).some((type) => type.varies);
  const scratch = aside || def.returnArg !== undefined;
  const late = lateValues(def);
  const recordBytes =
    late.end +
    (credHookOf(def) ? CRED_CHANGE_BYTES : 0) +
    stacks * (ARG_SLOT_BYTES + STACK_BYTES) +
    (hashed ? ARG_SLOT_BYTES + HASH_BYTES : 0);
  const kept = def.returnArg !== undefined || hashed;
  const scratchBytes = recordBytes + SCRATCH_SLACK + (kept ? CALL_HEAD_BYTES : 0);

  if (scratch && scratchBytes > MAX_SCRATCH_BYTES) {
    const message = `the hook's values take up to ${scratchBytes} bytes, at most ${MAX_SCRATCH_BYTES} are possible`;
    throw new HookError("InvalidArgument", message);
  }

  const config = new Uint8Array(HOOK_CONFIG.size);
  const view = new DataView(config.buffer);
  const at = HOOK_CONFIG.members;
  view.setUint32(at.hook_id, resolution.hookId, true);
  view.setUint32(at.flags, hookFlags(def, resolution) | (scratch ? E.HOOK_SCRATCH : 0), true);
  view.setUint32(at.record_size, recordBytes, true);
  view.setUint16(at.args, def.args.length, true);
  view.setUint16(at.selectors, def.selectors.length, true);
  view.setBigUint64(at.limit_seed, resolution.limitSeed[0], true);
  view.setBigUint64(at.limit_seed + 8, resolution.limitSeed[1], true);
  view.setUint16(at.parameters, resolution.parameters ?? 0, true);
  view.setUint8(at.hash_parameter, resolution.hashOf?.parameter ?? 0);
  encodeFields(view, resolution.fields ?? []);
  encodeCredHook(view, def);
  encodeArgs(view, def, resolution.walks ?? []);
  encodeBuffers(view, def, resolution.buffers ?? []);
  for (const value of late.values) encodeLate(view, value);

  const tables: Tables = {
    ranges: new RangeTables(),
    paths: new PathTables(),
    automata: new AutomatonTables(),
    expressions: [],
  };
  encodeSelectors(view, def, resolution, tables);
  for (const [index, range] of tables.ranges.inline.entries()) {
    encodeRange(view, at.range + index * VALUE_RANGE.size, range);
  }
  encodeExpressions(view, tables.expressions);
  const automata = tables.automata.bytes();
  view.setUint32(at.automata_mask, Math.max(0, automata.length - ENTRY_BYTES), true);
  return {
    config,
    automata,
    ranges: tables.ranges.many.map(rangeBytes),
    paths: tables.paths.paths,
    patterns: tables.paths.patterns,
    scratchBytes: Math.max(scratch ? scratchBytes : 0, comparesCreds(def) ? CRED_SCRATCH_BYTES : 0),
    rateLimited,
    enforcing: isEnforcing(def),
    callBytes: kept ? scratchBytes : 0,
    texts: argTypes(def).some(isPath) || comparesTexts(def),
    remembers: def.selectors.some(remembers),
  };
}

function argTypes(def: HookDef): ValueType[] {
  return def.args.map((arg) => valueType(arg));
}

/** Where fields of an event are the parameters, those of a system call are no registers. */
function hookFlags(def: HookDef, { fields, hashOf }: Resolution): number {
  return (
    (def.syscall && !fields ? E.HOOK_SYSCALL : 0) |
    (def.returnArg ? E.HOOK_RETURN : 0) |
    (hashOf ? E.HOOK_HASH : 0) |
    (hashOf?.ofBprm ? E.HOOK_HASH_OF_BPRM : 0) |
    (credHookOf(def) ? E.HOOK_CRED_CHANGE : 0)
  );
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

/** A value whose slot is set aside until the function returns. */
interface LateValue {
  arg: number;
  limit: number;
  room: number;
}

/** The values that are read at return, and how far arguments and return value reach at most. */
function lateValues(def: HookDef): { values: LateValue[]; end: number } {
  const values: LateValue[] = [];
  let end = HOOK_RECORD_BYTES;
  const add = (arg: number, type: ValueType, isLate: boolean) => {
    // The next slot is there already when a late value is written: it has the slack for itself.
    const room = type.room + (isLate && type.varies ? STRING_SLACK : 0);
    if (isLate) values.push({ arg, limit: end, room });
    end += ARG_SLOT_BYTES + room;
  };
  def.args.forEach((arg, index) => {
    add(index, valueType(arg), isReadAtReturn(def, index));
  });
  if (def.returnArg) add(RETURN_ARG, valueType(def.returnArg), true);
  return { values, end };
}

function isReadAtReturn(def: HookDef, arg: number): boolean {
  return def.returnArg !== undefined && def.args[arg]?.returnCopy === true;
}

function encodeLate(view: DataView, { arg, limit, room }: LateValue): void {
  const base = HOOK_CONFIG.members.late + arg * LATE_CONFIG.size;
  view.setUint16(base + LATE_CONFIG.members.limit, limit, true);
  view.setUint16(base + LATE_CONFIG.members.room, room, true);
}

function encodeFields(view: DataView, fields: readonly FieldConfig[]): void {
  fields.forEach(({ offset, size, kind }, index) => {
    const base = HOOK_CONFIG.members.field + index * FIELD_CONFIG.size;
    view.setUint16(base + FIELD_CONFIG.members.offset, offset, true);
    view.setUint8(base + FIELD_CONFIG.members.size, size);
    view.setUint8(base + FIELD_CONFIG.members.kind, kind);
  });
}

function encodeArgs(view: DataView, def: HookDef, walks: readonly (Walk | undefined)[]): void {
  const values = def.args.map((arg, index) => ({
    ...arg,
    position: index,
    late: isReadAtReturn(def, index),
  }));
  if (def.returnArg) {
    values.push({ ...def.returnArg, index: RETURN_ARG, position: RETURN_ARG, late: true });
  }
  values.forEach(({ position, late, ...arg }) => {
    const walk = walks[position];
    const type = atEndOf(walk, valueType(arg));
    const base = HOOK_CONFIG.members.arg + position * VALUE_CONFIG.size;
    const { kind, parameter, width, flags, source } = VALUE_CONFIG.members;
    view.setUint8(base + kind, type.kind);
    view.setUint8(base + source, sourceOf(arg));
    if (walk) encodeWalk(view, position, walk);
    view.setUint8(base + parameter, arg.index);
    view.setUint8(base + width, type.width);
    view.setUint8(
      base + flags,
      (type.signed ? E.VALUE_SIGNED : 0) |
        (def.syscall && !walk ? E.VALUE_USER : 0) |
        (late ? E.VALUE_AT_RETURN : 0),
    );
  });
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

function sourceOf({ source }: Pick<ArgDef, "source">): number {
  if (source === "current_task") return E.SOURCE_CURRENT_TASK;
  return source === "pt_regs" ? E.SOURCE_REGISTERS : E.SOURCE_PARAMETER;
}

function encodeBuffers(view: DataView, def: HookDef, buffers: readonly (BufferConfig | undefined)[]): void {
  def.args.forEach((arg, position) => {
    if (!isBuffer(valueType(arg))) return;
    const buffer = buffers[position];
    if (!buffer) throw new HookError("InvalidArgument", `args[${position}]: nothing tells the buffer's size`);
    const base = HOOK_CONFIG.members.buffer + position * BUFFER_CONFIG.size;
    const at = BUFFER_CONFIG.members;
    view.setUint32(base + at.limit, buffer.limit, true);
    view.setUint8(base + at.parameter, buffer.parameter);
    view.setUint8(base + at.width, buffer.width);
    view.setUint8(base + at.flags, buffer.signed ? E.VALUE_SIGNED : 0);
  });
}

/** An integer has the width of what is there, where that is less than its type's. */
function atEndOf(walk: Walk | undefined, type: ValueType): ValueType {
  if (!walk || walk.load === 0 || type.width <= walk.load) return type;
  return { ...type, width: walk.load, signed: type.signed && walk.signed };
}

function encodeWalk(view: DataView, arg: number, { offsets, load }: Walk): void {
  const base = HOOK_CONFIG.members.arg + arg * VALUE_CONFIG.size;
  view.setUint8(base + VALUE_CONFIG.members.steps, offsets.length);
  view.setUint8(base + VALUE_CONFIG.members.load, load);
  offsets.forEach((offset, step) => {
    view.setUint32(HOOK_CONFIG.members.step + (arg * MAX_STEPS_OF_VALUE + step) * 4, offset, true);
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

function checkCount(what: string, count: number, limit: number): void {
  if (count > limit) {
    throw new HookError("InvalidArgument", `the hook has ${count} ${what}, at most ${limit} are possible`);
  }
}
