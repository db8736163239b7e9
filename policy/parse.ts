/** Policies as text: every document of a file, checked against the schema. */
import { checkPolicy } from "./check.ts";
import { type PolicyError, Problems } from "./problems.ts";
import type { Policy } from "./types.ts";
import { readYaml, type YamlDocument } from "./yaml.ts";
import type { Position } from "./yaml-reader.ts";

/** A document that is a policy; what it means is the compiler's to say. */
export interface ParsedPolicy {
  /** With defaults applied and keys in the schema's spelling. */
  object: Policy;
  fileName: string;
  /** Where a field stands in the file. */
  locate(path: string): Position;
}

/** What a file holds: policies, and what is wrong with the documents that are none. */
export interface ParsedFile {
  policies: ParsedPolicy[];
  errors: PolicyError[];
  /** Number of documents with an error. */
  invalid: number;
}

/**
 * All documents of a YAML text; keys match case-insensitively as upstream's file path does; CRD defaults applied;
 * unknown fields are errors. A document with an error is not among the policies.
 */
export function parsePolicies(text: string, fileName: string): ParsedFile {
  const documents = readYaml(text);
  if (documents.length === 0) {
    const errors = [{ path: "", message: "is empty: there is no policy in it", line: 1, column: 1 }];
    return { policies: [], errors, invalid: 1 };
  }
  const policies: ParsedPolicy[] = [];
  const errors: PolicyError[] = [];
  for (const document of documents) {
    const object = checkDocument(document, errors);
    if (object) policies.push({ object, fileName, locate: document.locate });
  }
  return { policies, errors, invalid: documents.length - policies.length };
}

/** The same errors with line and column. */
export function placeErrors(errors: PolicyError[], locate: (path: string) => Position): PolicyError[] {
  return errors.map((error) => ({ ...error, ...locate(error.path) }));
}

function checkDocument(document: YamlDocument, errors: PolicyError[]): Policy | undefined {
  if (document.errors.length > 0) {
    errors.push(...document.errors);
    return undefined;
  }
  if (typeof document.value === "string" || Array.isArray(document.value)) {
    const found = Array.isArray(document.value) ? "a list" : "a plain text";
    const message = `is not a policy: expected apiVersion, kind, metadata and spec, found ${found}`;
    errors.push({ path: "", message, ...document.locate("") });
    return undefined;
  }
  const problems = new Problems();
  const policy = checkPolicy(document.value, "ignoreCase", problems);
  errors.push(...placeErrors(problems.errors, document.locate));
  return policy;
}
