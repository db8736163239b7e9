/** How the BPF programs read each argument type, and how many bytes it takes in a record. */
import { type ArgumentFamily, type ReadKind, traitsOf } from "../../../crds/argument-types.ts";
import type { ArgDef } from "../../../crds/hook-spec.ts";
import {
  BUFFER_SIZE,
  CRED_SIZE,
  MODULE_NAME_BYTES,
  MODULE_SIZE,
  PATH_SIZE,
  USER_NS_SIZE,
} from "../../records/layout.ts";
import { HookError } from "../hook-error.ts";
import { ENUMS } from "./layout.gen.ts";
import { MAX_DATA, MAX_STRING } from "./layout.ts";

/** The payload of a value: what follows the slot's header in a record. */
interface Payload {
  /** Size in bytes; the upper bound for a type whose size varies. */
  room: number;
  /** The payload is only as long as the value. */
  varies: boolean;
}

/** How a value of a type is read and written. */
export interface ValueType extends Payload {
  family: ArgumentFamily;
  /** enum value_kind */
  kind: number;
  /** Width of an integer in bytes; 0 for other types. */
  width: 0 | 1 | 2 | 4 | 8;
  signed: boolean;
}

const fixed = (room: number): Payload => ({ room, varies: false });

const varying = (room: number): Payload => ({ room, varies: true });

/** A path is preceded by struct path_value, a buffer by struct buffer_value, a module's name by struct module_value. */
const PAYLOADS: Readonly<Record<ReadKind, Payload>> = {
  VALUE_NOP: fixed(0),
  VALUE_INTEGER: fixed(8),
  VALUE_CAPABILITY_SET: fixed(8),
  VALUE_CRED: fixed(CRED_SIZE),
  VALUE_USER_NS: fixed(USER_NS_SIZE),
  VALUE_STRING: varying(MAX_STRING),
  VALUE_FILE: varying(PATH_SIZE + MAX_STRING),
  VALUE_PATH: varying(PATH_SIZE + MAX_STRING),
  VALUE_DENTRY: varying(PATH_SIZE + MAX_STRING),
  VALUE_FD: varying(PATH_SIZE + MAX_STRING),
  VALUE_BINPRM: varying(PATH_SIZE + MAX_STRING),
  VALUE_BUFFER: varying(BUFFER_SIZE + MAX_STRING),
  VALUE_MODULE: fixed(MODULE_SIZE + MODULE_NAME_BYTES),
  VALUE_LOAD_INFO: fixed(MODULE_SIZE + MODULE_NAME_BYTES),
};

/** Whether a type is reported and compared as a path. */
export function isPath({ family }: ValueType): boolean {
  return family === "path";
}

/** Whether a type is a buffer, whose size is found elsewhere. */
export function isBuffer({ family }: ValueType): boolean {
  return family === "buffer";
}

/** Whether a type is compared as a string. */
export function isText(type: ValueType): boolean {
  return type.family === "string" || isBuffer(type) || isPath(type);
}

/** Whether a type is compared as a number. */
export function isNumber({ family }: ValueType): boolean {
  return family === "integer" || family === "capability" || family === "capabilitySet";
}

/** How an argument is read; throws a HookError for an `auto` that has not been replaced by a type. */
export function valueType({ type, maxData }: Pick<ArgDef, "type" | "maxData">): ValueType {
  const traits = traitsOf(type);
  if (!traits.read) {
    throw new HookError("InvalidArgument", `${type} is not a type that can be read: name a concrete type`);
  }
  const { width = 0, signed = false } = "width" in traits ? traits : {};
  const payload = maxData ? varying(BUFFER_SIZE + MAX_DATA) : PAYLOADS[traits.read];
  return { family: traits.family, kind: ENUMS.value_kind[traits.read], width, signed, ...payload };
}
