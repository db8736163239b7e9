/** Policies as text: every document of a file, checked against the schema. */
import { POLICY_API } from "../crds/names.ts";
import { isObjectList, readObjectList } from "./object-list.ts";
import { below, child, type PolicyError, Problems } from "./problems.ts";
import { checkPolicy, member } from "./schema/check.ts";
import { POLICY_SCHEMAS } from "./schema/json-schema.ts";
import { didYouMean } from "./suggest.ts";
import type { Policy } from "./types.ts";
import { normalizeLines, refusedCharacter } from "./yaml/characters.ts";
import { decodeUtf8 } from "./yaml/decode.ts";
import { readYaml } from "./yaml/yaml.ts";

/** A document, or an item of a list, that is a policy; the compiler checks its meaning. */
export interface ParsedPolicy {
  /** With defaults applied and keys in the schema's spelling. */
  object: Policy;
  fileName: string;
  place: Place;
}

/** An error about a policy as the file shows it: its path from the document's root, with line and column. */
export type Place = (error: PolicyError) => PolicyError;

/** What a file holds: policies, and what is wrong with the documents that are none. */
export interface ParsedFile {
  policies: ParsedPolicy[];
  errors: PolicyError[];
  /** Number of documents, items of lists among them, with an error. */
  invalid: number;
  /** Number of documents, items of lists among them, that are left out because they are no policies. */
  skipped: number;
}

/** What becomes of documents that are no policies: an object of another kind, a workflow, the values of a chart. */
export type OtherDocuments = "refuse" | "skip";

/**
 * All documents of a YAML text or of a file's bytes, and each item of those that are a list of objects; keys match case-insensitively as
 * upstream's file path does; CRD defaults applied; unknown fields are errors. A document with an error is not among the
 * policies.
 */
export function parsePolicies(
  content: string | Uint8Array,
  fileName: string,
  others: OtherDocuments = "refuse",
): ParsedFile {
  const decoded = typeof content === "string" ? { text: content } : decodeUtf8(content);
  if ("error" in decoded) return { policies: [], errors: [decoded.error], invalid: 1, skipped: 0 };
  const text = normalizeLines(decoded.text);
  const refused = others === "skip" && !mayBePolicy(text) ? undefined : refusedCharacter(text);
  if (refused) return { policies: [], errors: [refused], invalid: 1, skipped: 0 };
  const documents = readYaml(text);
  if (documents.length === 0) {
    const errors = [{ path: "", message: "is empty: there is no policy in it", line: 1, column: 1 }];
    if (others === "skip") return { policies: [], errors: [], invalid: 0, skipped: 1 };
    return { policies: [], errors, invalid: 1, skipped: 0 };
  }
  const file: ParsedFile = { policies: [], errors: [], invalid: 0, skipped: 0 };
  for (const { value, errors, locate } of documents) {
    if (errors.length === 0) {
      parseValue(value, (error) => ({ ...error, ...locate(error.path) }), file, fileName, others);
    } else if (others === "skip" && !mayBePolicy(text)) file.skipped++;
    else {
      for (const error of errors) file.errors.push(error);
      file.invalid++;
    }
  }
  return file;
}

/** A document or an item of a list. */
function parseValue(
  value: unknown,
  place: Place,
  file: ParsedFile,
  fileName: string,
  others: OtherDocuments,
): void {
  if (others === "skip" && !isObjectList(value) && isOther(value)) {
    file.skipped++;
    return;
  }
  const problems = new Problems();
  const items = isObjectList(value) ? readObjectList(value, problems) : undefined;
  const object = items ? undefined : checkValue(value, problems);
  file.errors.push(...problems.errors.map(place));
  if (problems.errors.length > 0) file.invalid++;
  if (object) file.policies.push({ object, fileName, place });
  for (const [index, item] of (items ?? []).entries()) {
    const at = child("items", index);
    parseValue(item, (error) => place({ ...error, path: below(at, error.path) }), file, fileName, others);
  }
}

/** A file that is no YAML, such as a chart's template, is checked where the text names the kind of a policy. */
function mayBePolicy(text: string): boolean {
  return /TracingPolicy/i.test(text);
}

/** An object of another kind, or none of Kubernetes. A misspelt kind is the user's to see. */
function isOther(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return true;
  const kind = member(value, "kind", "ignoreCase");
  if (kind === undefined) return member(value, "apiVersion", "ignoreCase") !== POLICY_API.apiVersion;
  const kinds = Object.keys(POLICY_SCHEMAS);
  return typeof kind === "string" && !kinds.includes(kind) && didYouMean(kind, kinds) === "";
}

function checkValue(value: unknown, problems: Problems): Policy | undefined {
  if (typeof value === "string" || Array.isArray(value)) {
    const found = Array.isArray(value) ? "a list" : "a plain text";
    problems.error("", `is not a policy: expected apiVersion, kind, metadata and spec, found ${found}`);
    return undefined;
  }
  return checkPolicy(value, "ignoreCase", problems);
}
