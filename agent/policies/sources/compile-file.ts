/** The part of policy-file.ts that needs the compiler, which is loaded when there is a file. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { PolicyKind, PolicyRef } from "../../../crds/names.ts";
import { compileParsed } from "../../../policy/compile.ts";
import { type ParsedPolicy, parsePolicies } from "../../../policy/parse.ts";
import type { PolicyError } from "../../../policy/problems.ts";
import type { DesiredPolicy } from "./source.ts";

/** What a file has; errors and warnings are lines `FILE:LINE:COLUMN: PATH: what is wrong`. */
export interface PolicyFile {
  path: string;
  /** Equal for equal content. */
  hash: string;
  /** Broken where they do not compile. */
  policies: DesiredPolicy[];
  errors: string[];
  warnings: string[];
}

/** Compiles what was read of a file, each policy in a turn of its own. */
export async function compileFile(path: string, hash: string, bytes: Buffer): Promise<PolicyFile> {
  const parsed = parsePolicies(bytes, path);
  const errors = parsed.errors.map((error) => errorLine(path, error));
  const file: PolicyFile = { path, hash, policies: [], errors, warnings: [] };
  for (const policy of parsed.policies) {
    await nextTurn();
    compileInto(file, policy);
  }
  return file;
}

function compileInto(file: PolicyFile, parsed: ParsedPolicy): void {
  const { path } = file;
  const origin = `file ${path}`;
  const result = compileParsed(parsed);
  if (!result.ok) {
    const lines = result.errors.map((error) => errorLine(path, error));
    file.errors.push(...lines);
    file.policies.push({ ref: refOf(parsed), hash: file.hash, origin, problem: lines.join("\n") });
    return;
  }
  const { spec, hash, warnings } = result;
  file.warnings.push(...warnings.map((warning) => errorLine(path, warning)));
  file.policies.push({ ref: spec.policy, hash, spec, origin });
}

function refOf({ object: { kind, metadata } }: ParsedPolicy): PolicyRef {
  const { name, namespace } = metadata;
  return { kind: kind as PolicyKind, name, ...(namespace !== undefined && { namespace }) };
}

function errorLine(file: string, { path, message, line, column }: PolicyError): string {
  const at = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  return path === "" ? `${at}: ${message}` : `${at}: ${path}: ${message}`;
}
