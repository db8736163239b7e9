/** Filters as people write them, in the JSON form of protobuf: checked, and with the names of the .proto. */
import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { messageType, registry } from "../../../proto/descriptors.ts";
import type { RedactionFilter } from "../../process/redaction.ts";
import { type FieldFilter, protoNames } from "./fields.ts";
import type { Filter } from "./filter.ts";

/** Throws an error that names the field. */
export function parseFilter(text: string): Filter {
  return parseMessage("tetragon.Filter", JSON.parse(text)) as Filter;
}

/** Throws an error that names the field; whether paths lead to fields is not checked. */
export function parseFieldFilter(text: string): FieldFilter {
  return protoNames(parseMessage("tetragon.FieldFilter", camelPaths(JSON.parse(text))) as FieldFilter);
}

/** Throws an error that names the field. */
export function parseRedactionFilter(text: string): RedactionFilter {
  return parseMessage("tetragon.RedactionFilter", JSON.parse(text)) as RedactionFilter;
}

function parseMessage(type: string, json: JsonValue): JsonValue {
  const message = messageType(type);
  return toJson(message, fromJson(message, json, { registry }), { registry, useProtoFieldName: true });
}

/** A FieldMask has lowerCamelCase in JSON; upstream's flag takes the names of the .proto too. */
function camelPaths(json: JsonValue): JsonValue {
  if (json === null || typeof json !== "object" || Array.isArray(json)) return json;
  const { fields } = json;
  if (typeof fields !== "string") return json;
  return { ...json, fields: fields.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()) };
}
