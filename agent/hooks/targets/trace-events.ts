/** Reads the fields of trace events from tracefs, and finds a policy's arguments among them. */
import { readdirSync, readFileSync } from "node:fs";
import { misfitOfField } from "../../../crds/argument-fit.ts";
import { type ArgType, traitsOf } from "../../../crds/argument-types.ts";
import type { ArgDef, HookDef } from "../../../crds/hook-spec.ts";
import { didYouMean } from "../../../policy/suggest.ts";
import type { BufferConfig, FieldConfig } from "../config/filters.ts";
import { ENUMERATORS as E, MAX_ARGS } from "../config/layout.ts";
import { HookError } from "../hook-error.ts";
import { bufferLimit, fixedBuffer } from "./buffers.ts";

/** A field of a trace event, as its format file describes it. */
export interface EventField extends FieldConfig {
  name: string;
  /** The type in C. */
  type: string;
}

/** A trace event and its fields; the common ones come first. */
export interface TraceEvent {
  subsystem: string;
  event: string;
  fields: EventField[];
}

/** Programs cannot read the common fields: their context has other data in these bytes. */
const COMMON_BYTES = 8;

/** Fields before the arguments in the trace event of a system call: the common ones and the call's number. */
const FIELDS_BEFORE_ARGUMENTS = 5;

/** Reads the format of a trace event; throws a HookError if there is no such event. */
export function readTraceEvent(tracefs: string, subsystem: string, event: string): TraceEvent {
  if (tracefs === "") throw new HookError("KernelUnsupported", "tracefs is not mounted");
  const name = `${subsystem}/${event}`;
  if (!/^[\w-]+\/[\w-]+$/.test(name))
    throw new HookError("InvalidArgument", `${name} is not the name of a tracepoint`);
  try {
    const fields = parseFormat(readFileSync(`${tracefs}/events/${name}/format`, "utf8"));
    return { subsystem, event, fields };
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") {
      const hint = closeEvents(`${tracefs}/events`, subsystem, event);
      throw new HookError("FunctionNotFound", `this kernel has no tracepoint ${name}${hint}`);
    }
    throw new HookError("KernelUnsupported", `read the format of tracepoint ${name}: ${code}`, { cause });
  }
}

/** Suggests a name that is close to a misspelt event or subsystem. */
function closeEvents(directory: string, subsystem: string, event: string): string {
  const subsystems = listDirectories(directory);
  if (!subsystems.includes(subsystem)) return didYouMean(subsystem, subsystems, 3);
  return didYouMean(event, listDirectories(`${directory}/${subsystem}`), 3);
}

function listDirectories(path: string): string[] {
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? entry.name : [],
  );
}

/** Parses lines such as `field:unsigned char common_flags; offset:2; size:1; signed:0;`. */
export function parseFormat(text: string): EventField[] {
  const lines = text.matchAll(/^\tfield:(.+?);\s+offset:(\d+);\s+size:(\d+);\s+signed:([01]);/gm);
  return [...lines].map(([, declaration = "", offset, size, signed]) => {
    const [, type = "", name = "", array = ""] = /^(.*?)(\w+)(\[.*\])?$/.exec(declaration) ?? [];
    const declared = `${type.trim()}${array}`;
    return {
      name,
      type: declared,
      offset: Number(offset),
      size: Number(size),
      kind: fieldKind(declared, Number(size), signed === "1"),
    };
  });
}

function fieldKind(type: string, size: number, signed: boolean): number {
  if (type.startsWith("__data_loc")) return E.FIELD_DATA_LOC;
  if (type.endsWith("]") || ![1, 2, 4, 8].includes(size)) return E.FIELD_ARRAY;
  return signed ? E.FIELD_SIGNED : E.FIELD_UNSIGNED;
}

/** Resolves the arguments of a tracepoint's hook: argument n reads field n of the returned list and has a type. */
export function resolveFields(
  def: HookDef,
  event: TraceEvent,
): { def: HookDef; fields: FieldConfig[]; types: ArgType[]; buffers: (BufferConfig | undefined)[] } {
  const chosen = def.args.map((arg, position) => chooseField(arg, `args[${position}]`, event));
  const fields: FieldConfig[] = [...chosen];
  const buffers = def.args.map((arg, position) => {
    const field = chosen[position] as EventField;
    if (isInArray(arg, field)) return fixedBuffer(field.size);
    if (traitsOf(arg.type).family !== "buffer") return undefined;
    const { buffer, size } = chooseSize(arg, position, field, event);
    if (size) fields[MAX_ARGS + position] = size;
    return buffer;
  });
  const args = def.args.map((arg, position) => ({
    ...arg,
    index: position,
    type: typeOf(arg, chosen[position] as EventField),
  }));
  return { def: { ...def, args }, fields, types: args.map(({ type }) => type), buffers };
}

/** The fields of a system call's trace event, by number of the argument. */
export function syscallFields({ fields }: TraceEvent): FieldConfig[] {
  return fields.slice(FIELDS_BEFORE_ARGUMENTS);
}

function chooseField(
  { index, type }: ArgDef,
  at: string,
  { subsystem, event, fields }: TraceEvent,
): EventField {
  const name = `${subsystem}/${event}`;
  const field = fields[index];
  if (!field) {
    const list = fields.map((known, number) => `${number} ${known.name}`).join(", ");
    throw new HookError("InvalidArgument", `${at}: no field ${index} in ${name}; it has ${list}`);
  }
  if (field.offset < COMMON_BYTES && type !== "nop") {
    throw new HookError(
      "InvalidArgument",
      `${at}: programs cannot read field ${index} of ${name}, ${field.name}`,
    );
  }
  if (field.type.startsWith("__rel_loc")) {
    throw new HookError("KernelUnsupported", `${at}: field ${field.name} of ${name} is a ${field.type}`);
  }
  const advice = misfitOfField(type, { ...field, isInside: isInside(field) }, subsystem);
  if (advice !== undefined) {
    const what = `${at}: type ${type} does not fit field ${index} of ${name}, ${field.type} ${field.name}`;
    throw new HookError("InvalidArgument", advice === "" ? what : `${what}: ${advice}`);
  }
  return field;
}

/** Finds the size of a buffer, and the field with the size; such fields come after those of the arguments. */
function chooseSize(
  arg: ArgDef,
  position: number,
  field: EventField,
  { subsystem, event, fields }: TraceEvent,
): { buffer: BufferConfig; size?: FieldConfig } {
  const sizedByField: BufferConfig = {
    limit: bufferLimit(arg),
    parameter: MAX_ARGS + position,
    width: 8,
    signed: true,
  };
  if (field.kind === E.FIELD_ARRAY) return { buffer: fixedBuffer(field.size) };
  if (field.kind === E.FIELD_DATA_LOC) {
    return { buffer: sizedByField, size: { ...field, kind: E.FIELD_DATA_LOC_SIZE } };
  }
  const size = arg.sizeArgIndex === undefined ? undefined : fields[arg.sizeArgIndex - 1];
  const what = `args[${position}]: ${arg.type}: field ${arg.index} of ${subsystem}/${event}, ${field.type} ${field.name}`;
  const traits = traitsOf(arg.type);
  const isSizedByType = traits.family === "buffer" && traits.sizeFrom === "type";
  if (isSizedByType || !field.type.endsWith("*")) {
    throw new HookError("InvalidArgument", `${what}, is not a buffer`);
  }
  if (!size || isInside(size)) {
    throw new HookError(
      "InvalidArgument",
      `${what}, needs sizeArgIndex: the number, from 1, of the field with its size`,
    );
  }
  return { buffer: sizedByField, size };
}

/** A string in an array of the event ends there, also without a NUL. */
function isInArray(arg: ArgDef, field: EventField): boolean {
  return field.kind === E.FIELD_ARRAY && traitsOf(typeOf(arg, field)).family === "string";
}

function isInside({ kind }: FieldConfig): boolean {
  return kind === E.FIELD_ARRAY || kind === E.FIELD_DATA_LOC;
}

const UNSIGNED: Readonly<Record<number, ArgType>> = { 1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64" };
const SIGNED: Readonly<Record<number, ArgType>> = { 1: "int8", 2: "int16", 4: "int32", 8: "int64" };

function typeOf({ type }: ArgDef, field: EventField): ArgType {
  if (type !== "auto") return type;
  if (isInside(field) || /^(const )?char \*$/.test(field.type)) return "string";
  return integerType(field.size, field.kind === E.FIELD_SIGNED);
}

/** The argument type for an integer of this size. */
export function integerType(size: number, signed: boolean): ArgType {
  return (signed ? SIGNED : UNSIGNED)[size] ?? "uint64";
}
