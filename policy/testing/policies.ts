/** Policies for tests. */
import type { HookDef } from "../../crds/hook-spec.ts";
import { type CompileResult, compilePolicy } from "../compile.ts";
import type { PolicyError } from "../problems.ts";

/** Any part of a policy as a test writes it. */
export type Loose = Record<string, unknown>;

/** A policy around a spec. */
export function makePolicy(spec: unknown, kind = "TracingPolicy"): Loose {
  return { apiVersion: "cilium.io/v1alpha1", kind, metadata: { name: "test" }, spec };
}

/** A probe of sys_setuid, with members replaced or added. */
export function makeProbe(more: Loose = {}): Loose {
  return { call: "sys_setuid", syscall: true, args: [{ index: 0, type: "int" }], ...more };
}

/** A policy of one probe of sys_setuid. */
export function makeProbePolicy(more: Loose = {}): Loose {
  return makePolicy({ kprobes: [makeProbe(more)] });
}

/** A policy of one probe with one selector. */
export function makeSelectorPolicy(selector: Loose, more: Loose = {}): Loose {
  return makeProbePolicy({ ...more, selectors: [selector] });
}

/** The hooks of a policy that compiles; throws with its errors otherwise. */
export function hooksOf(policy: unknown): HookDef[] {
  const result = compilePolicy(policy);
  if (!result.ok) throw new Error(printErrors(result.errors).join("\n"));
  return result.spec.hooks;
}

/** Errors of a policy, one line each; empty when it compiles. */
export function errorsOf(policy: unknown): string[] {
  const result: CompileResult = compilePolicy(policy);
  return result.ok ? [] : printErrors(result.errors);
}

/** Warnings of a policy, one line each. */
export function warningsOf(policy: unknown): string[] {
  return printErrors(compilePolicy(policy).warnings);
}

/** `PATH: MESSAGE`. */
function printErrors(errors: PolicyError[]): string[] {
  return errors.map(({ path, message }) => `${path}: ${message}`);
}
