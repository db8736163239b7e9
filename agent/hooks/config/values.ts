/** Encodes how each of a hook's values is found, read and laid out in the record. Pure. */
import type { ArgDef, HookDef } from "../../../crds/hook-spec.ts";
import type { Bound, FieldPath } from "../../../policy/members/field-path.ts";
import { HOOK_SIZE, SLOT_SIZE } from "../../records/layout.ts";
import { HookError } from "../hook-error.ts";
import type { BufferConfig, FieldConfig } from "./filters.ts";
import {
  BOUND_CONFIG,
  BUFFER_CONFIG,
  ENUMERATORS as E,
  FIELD_CONFIG,
  HOOK_CONFIG,
  LATE_CONFIG,
  MAX_STEPS_OF_VALUE,
  RETURN_ARG,
  VALUE_CONFIG,
} from "./layout.ts";
import { isBuffer, type ValueType, valueType } from "./value-types.ts";

/** Spare bytes behind the last string: two more bytes are read to see whether it was cut, and 8 zeros end it. */
export const STRING_SLACK = 16;

/** A value whose slot is reserved at entry and filled at return. */
export interface LateValue {
  arg: number;
  limit: number;
  room: number;
}

/** The values that are read at return, and the largest offset at which arguments and return value can end. */
export function lateValues(def: HookDef): { values: LateValue[]; end: number } {
  const values: LateValue[] = [];
  let end = HOOK_SIZE;
  const add = (arg: number, type: ValueType, isLate: boolean) => {
    // A late value is written when the next slot is already filled, so it needs spare bytes of its own.
    const room = type.room + (isLate && type.varies ? STRING_SLACK : 0);
    if (isLate) values.push({ arg, limit: end, room });
    end += SLOT_SIZE + room;
  };
  def.args.forEach((arg, index) => {
    add(index, valueType(arg), isReadAtReturn(def, index));
  });
  if (def.returnArg) add(RETURN_ARG, valueType(def.returnArg), true);
  return { values, end };
}

/** Writes struct late_config. */
export function encodeLate(view: DataView, { arg, limit, room }: LateValue): void {
  const base = HOOK_CONFIG.members.late + arg * LATE_CONFIG.size;
  view.setUint16(base + LATE_CONFIG.members.limit, limit, true);
  view.setUint16(base + LATE_CONFIG.members.room, room, true);
}

/** Writes the fields of a trace event, if these are the hook's arguments. */
export function encodeFields(view: DataView, fields: readonly FieldConfig[]): void {
  fields.forEach(({ offset, size, kind }, index) => {
    const base = HOOK_CONFIG.members.field + index * FIELD_CONFIG.size;
    view.setUint16(base + FIELD_CONFIG.members.offset, offset, true);
    view.setUint8(base + FIELD_CONFIG.members.size, size);
    view.setUint8(base + FIELD_CONFIG.members.kind, kind);
  });
}

/** Writes how each argument and the return value are found and read. */
export function encodeArgs(
  view: DataView,
  def: HookDef,
  fieldPaths: readonly (FieldPath | undefined)[],
): void {
  const values = def.args.map((arg, index) => ({
    ...arg,
    position: index,
    late: isReadAtReturn(def, index),
  }));
  if (def.returnArg) {
    values.push({ ...def.returnArg, index: RETURN_ARG, position: RETURN_ARG, late: true });
  }
  values.forEach(({ position, late, ...arg }) => {
    const fieldPath = fieldPaths[position];
    const type = valueType(arg);
    const base = HOOK_CONFIG.members.arg + position * VALUE_CONFIG.size;
    const { kind, parameter, bits, flags, source } = VALUE_CONFIG.members;
    view.setUint8(base + kind, type.kind);
    view.setUint8(base + source, sourceOf(arg));
    if (fieldPath) encodeFieldPath(view, position, fieldPath);
    if (fieldPath?.room && type.kind === E.VALUE_STRING) encodeRoom(view, position, fieldPath.room);
    view.setUint8(base + parameter, arg.index);
    view.setUint8(base + bits, bitsOf(fieldPath, type));
    view.setUint8(
      base + flags,
      (type.signed ? E.VALUE_SIGNED : 0) |
        (fieldPath && isUnsignedInSigned(fieldPath, type) ? E.VALUE_NO_SIGN : 0) |
        (arg.type === "syscall64" ? E.VALUE_SYSCALL : 0) |
        (def.syscall && !fieldPath ? E.VALUE_USER : 0) |
        (late ? E.VALUE_AT_RETURN : 0),
    );
  });
}

/** A string in an array ends there, also without a NUL. */
function encodeRoom(view: DataView, position: number, bytes: number): void {
  const base = HOOK_CONFIG.members.buffer + position * BUFFER_CONFIG.size;
  view.setUint32(base + BUFFER_CONFIG.members.limit, bytes, true);
}

/** Writes how the size of each buffer is found; throws a HookError for a buffer of unknown size. */
export function encodeBuffers(
  view: DataView,
  def: HookDef,
  buffers: readonly (BufferConfig | undefined)[],
): void {
  def.args.forEach((arg, position) => {
    const buffer = buffers[position];
    if (!isBuffer(valueType(arg)) && !buffer) return;
    if (!buffer)
      throw new HookError("InvalidArgument", `args[${position}]: the size of the buffer is unknown`);
    const base = HOOK_CONFIG.members.buffer + position * BUFFER_CONFIG.size;
    const at = BUFFER_CONFIG.members;
    view.setUint32(base + at.limit, buffer.limit, true);
    view.setUint8(base + at.parameter, buffer.parameter);
    view.setUint8(base + at.bits, buffer.width * 8);
    view.setUint8(base + at.flags, buffer.signed ? E.VALUE_SIGNED : 0);
  });
}

function isReadAtReturn(def: HookDef, arg: number): boolean {
  return def.returnArg !== undefined && def.args[arg]?.returnCopy === true;
}

function sourceOf({ source }: Pick<ArgDef, "source">): number {
  if (source === "current_task") return E.SOURCE_CURRENT_TASK;
  return source === "pt_regs" ? E.SOURCE_REGISTERS : E.SOURCE_PARAMETER;
}

/** An integer is read only as wide as the field is, if the argument's type is wider. */
function bitsOf(fieldPath: FieldPath | undefined, type: ValueType): number {
  if (!fieldPath || !isNarrower(fieldPath, type)) return type.width * 8;
  return fieldPath.bits?.count ?? fieldPath.load * 8;
}

function isNarrower({ load, bits }: FieldPath, { width }: ValueType): boolean {
  return load > 0 && (bits?.count ?? load * 8) < width * 8;
}

function isUnsignedInSigned(fieldPath: FieldPath, type: ValueType): boolean {
  return type.signed && !fieldPath.signed && isNarrower(fieldPath, type);
}

function encodeFieldPath(view: DataView, arg: number, { offsets, load, bits, bound }: FieldPath): void {
  const base = HOOK_CONFIG.members.arg + arg * VALUE_CONFIG.size;
  view.setUint8(base + VALUE_CONFIG.members.steps, offsets.length);
  view.setUint8(base + VALUE_CONFIG.members.load, load);
  view.setUint8(base + VALUE_CONFIG.members.shift, bits?.shift ?? 0);
  offsets.forEach((offset, step) => {
    view.setUint32(HOOK_CONFIG.members.step + (arg * MAX_STEPS_OF_VALUE + step) * 4, offset, true);
  });
  if (bound) encodeBound(view, arg, bound);
}

function encodeBound(view: DataView, arg: number, { step, offset, width, index, most }: Bound): void {
  const base = HOOK_CONFIG.members.bound + arg * BOUND_CONFIG.size;
  view.setUint32(base + BOUND_CONFIG.members.offset, offset, true);
  view.setUint32(base + BOUND_CONFIG.members.index, index, true);
  view.setUint32(base + BOUND_CONFIG.members.most, most, true);
  view.setUint8(base + BOUND_CONFIG.members.step, step);
  view.setUint8(base + BOUND_CONFIG.members.width, width);
}
