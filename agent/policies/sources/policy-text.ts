/** Policies as text that clients send. Loaded when there is one: the compiler takes some megabytes. */
import { policyKey } from "../../../crds/names.ts";
import { compileParsed, type PolicyError } from "../../../policy/compile.ts";
import { parsePolicies } from "../../../policy/parse.ts";
import type { WantedPolicy } from "./source.ts";

/** Thrown if the YAML is not exactly one valid policy. The message has one error per line, with its field path. */
export class PolicyTextError extends Error {
  override readonly name = "PolicyTextError";
}

/** A policy that compiles and has not been added yet. */
export interface CompiledPolicy {
  key: string;
  domain: string;
  yaml: string;
  policy: WantedPolicy;
}

/** Compiles YAML with exactly one policy. Throws PolicyTextError. */
export function compileText(yaml: string, domain: string): CompiledPolicy {
  const { policies, errors } = parsePolicies(yaml, "");
  const [parsed, second] = policies;
  if (errors.length > 0) throw new PolicyTextError(errors.map(errorLine).join("\n"));
  if (!parsed || second) throw new PolicyTextError(`has ${policies.length} policies: expected one`);
  const result = compileParsed(parsed);
  if (!result.ok) throw new PolicyTextError(result.errors.map(errorLine).join("\n"));
  const { spec, hash } = result;
  const policy: WantedPolicy = { ref: spec.policy, hash, spec, origin: originOf(domain) };
  return { key: policyKey(spec.policy), domain, yaml, policy };
}

/** Shown as where the policy comes from. */
export function originOf(domain: string): string {
  return `gRPC, domain ${domain}`;
}

function errorLine({ path, message, line, column }: PolicyError): string {
  const place = line === undefined ? "" : ` (line ${line}, column ${column ?? 1})`;
  return path === "" ? `${message}${place}` : `${path}: ${message}${place}`;
}
