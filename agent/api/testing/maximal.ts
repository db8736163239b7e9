/** Requests with every field that a message has, each at the end of its range. */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";

const LONG = "\u{10ffff}".repeat(1_000);
const REPEATED = 3;
const MAX_DEPTH = 6;

const SCALARS: Partial<Record<ScalarType, unknown>> = {
  [ScalarType.STRING]: LONG,
  [ScalarType.BYTES]: Buffer.alloc(4_000, 0xff).toString("base64"),
  [ScalarType.BOOL]: true,
  [ScalarType.UINT32]: 0xffff_ffff,
  [ScalarType.INT32]: -0x8000_0000,
  [ScalarType.UINT64]: String(2n ** 64n - 1n),
  [ScalarType.INT64]: String(-(2n ** 63n)),
};

/** Well-known types have a form of their own in JSON. */
const WELL_KNOWN: Record<string, unknown> = {
  "google.protobuf.BoolValue": true,
  "google.protobuf.UInt32Value": 0xffff_ffff,
  "google.protobuf.Int32Value": -0x8000_0000,
  "google.protobuf.Duration": "315576000000s",
  "google.protobuf.Timestamp": "9999-12-31T23:59:59.999999999Z",
  "google.protobuf.FieldMask": Array.from({ length: 100 }, (_, i) => `process.field${i}`).join(","),
};

/** The request in its JSON form; of a choice between fields, the last. */
export function maximal(message: DescMessage, depth = 0): Record<string, unknown> {
  const chosen = message.fields.filter(
    (field) => field.oneof === undefined || field.oneof.fields.at(-1) === field,
  );
  const entries = chosen.flatMap((field) => {
    const value = fieldValue(field, depth);
    return value === undefined ? [] : [[field.name, value] as const];
  });
  return Object.fromEntries(entries);
}

function fieldValue(field: DescField, depth: number): unknown {
  if (field.fieldKind === "map") return { [LONG]: field.mapKind === "scalar" ? SCALARS[field.scalar] : {} };
  const one = single(field, depth);
  if (one === undefined || field.fieldKind !== "list") return one;
  return Array.from({ length: REPEATED }, () => one);
}

function single(field: DescField, depth: number): unknown {
  if (field.message) {
    const known = WELL_KNOWN[field.message.typeName];
    if (known !== undefined) return known;
    return depth < MAX_DEPTH ? maximal(field.message, depth + 1) : undefined;
  }
  return field.enum ? 0x7fff_ffff : field.scalar && SCALARS[field.scalar];
}
