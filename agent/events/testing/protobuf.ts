/** Messages of proto/ as JSON, decoded by a library that knows nothing of our encoder, by the rules of protobuf's JSON. */
import { join } from "node:path";
import protobuf from "protobufjs";
import { formatTime } from "../../records/wall-clock.ts";

const PROTO = join(import.meta.dirname, "../../../proto");

/** All our .proto files. */
function loadProtos(): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => (target.startsWith("google/") ? target : join(PROTO, target));
  const files = ["tetragon/sensors.proto", "tetragon/eventlogservice.proto"];
  root.loadSync(files, { keepCase: true });
  root.resolveAll();
  return root;
}

let root: protobuf.Root | undefined;

/** The JSON of a message of our .proto files. */
export function protoJson(type: string, bytes: Uint8Array): unknown {
  root ??= loadProtos();
  const message = root.lookupType(type);
  return messageJson(message, message.decode(bytes) as unknown as Record<string, unknown>);
}

function messageJson(type: protobuf.Type, message: Record<string, unknown>): unknown {
  const wrapped = WELL_KNOWN[type.fullName];
  if (wrapped !== undefined) return wrapped(message);
  const object: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    if (!Object.hasOwn(message, field.name)) continue;
    const value = fieldJson(field, message[field.name]);
    if (value !== undefined) object[field.name] = value;
  }
  return object;
}

/** Undefined for what JSON leaves out: empty lists, and zeros of fields that do not tell absence from zero. */
function fieldJson(field: protobuf.Field, value: unknown): unknown {
  if (field.map) return Object.keys(value as object).length === 0 ? undefined : value;
  if (field.repeated) {
    const list = value as unknown[];
    return list.length === 0 ? undefined : list.map((item) => valueJson(field, item));
  }
  const json = valueJson(field, value);
  const isPresent = field.partOf !== null || field.resolvedType instanceof protobuf.Type;
  const isZero = json === "" || json === 0 || json === false || json === "0";
  return isZero && !isPresent ? undefined : json;
}

function valueJson({ type, resolvedType }: protobuf.Field, value: unknown): unknown {
  if (resolvedType instanceof protobuf.Type) {
    return messageJson(resolvedType, value as Record<string, unknown>);
  }
  if (resolvedType instanceof protobuf.Enum) return resolvedType.valuesById[value as number] ?? value;
  if (type === "bytes") return Buffer.from(value as Uint8Array).toString("base64");
  return type.endsWith("64") ? String(value) : value;
}

type ToJson = (message: Record<string, unknown>) => unknown;

const WELL_KNOWN: Record<string, ToJson> = {
  ".google.protobuf.UInt32Value": ({ value }) => value ?? 0,
  ".google.protobuf.Int32Value": ({ value }) => value ?? 0,
  ".google.protobuf.BoolValue": ({ value }) => value ?? false,
  ".google.protobuf.Timestamp": ({ seconds, nanos }) =>
    formatTime({ seconds: Number(seconds ?? 0), nanos: Number(nanos ?? 0) }),
};
