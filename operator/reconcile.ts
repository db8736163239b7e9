/** One policy: compile it, distribute what it compiles to, report what came of it. */
import { type PolicyRef, policyKey } from "../crds/names.ts";
import { errorText } from "../lib/logger.ts";
import { isNotLeading } from "./cluster/leadership.ts";
import { type Compile, joinRemarks, type Remark } from "./compiler/compiled.ts";
import type { WantedSpec } from "./distribute/plan.ts";
import type { Again } from "./distribute/repair-pace.ts";
import { type PolicyObject, policyRefOf } from "./resources.ts";

/** Where the specs of policies are kept; see SpecStore. */
export interface Specs {
  apply(wanted: WantedSpec, isInUse: (name: string) => boolean): Promise<Again>;
  remove(ref: PolicyRef): Promise<Again>;
  lastGood(ref: PolicyRef): Promise<WantedSpec | undefined>;
  distributed(key: string): WantedSpec | undefined;
}

/** Where results are reported to the user; see StatusReporter. */
export interface Reporter {
  accept(policy: PolicyObject, wanted: WantedSpec, warnings: readonly Remark[]): void;
  /** The newest generation cannot run; `running` is what goes on running. */
  reject(policy: PolicyObject, message: string, running: WantedSpec | undefined): void;
  /** The spec could not be written; the next try may succeed. */
  fail(policy: PolicyObject, message: string, running: WantedSpec | undefined): void;
  /** It is deleted, its specs are removed, and a finalizer of another controller keeps the object. */
  terminate(policy: PolicyObject): void;
  forget(key: string): void;
}

/** Everything that reconcile works with. */
export interface ReconcileDeps {
  findPolicy(ref: PolicyRef): PolicyObject | undefined;
  compile: Compile;
  specs: Specs;
  reporter: Reporter;
  /** True if a node runs the spec in the ConfigMap of this name. */
  isInUse(ref: PolicyRef, configMapName: string): boolean;
}

/**
 * Reads everything it needs each time; running it twice changes nothing. Throws errors that a later try may not have;
 * resolves with a delay when writes have to wait.
 */
export async function reconcile(deps: ReconcileDeps, ref: PolicyRef): Promise<Again> {
  const policy = deps.findPolicy(ref);
  if (policy === undefined) {
    deps.reporter.forget(policyKey(ref));
    return deps.specs.remove(ref);
  }
  // A finalizer of another controller keeps the object; its user asked for the policy to end.
  if (policy.metadata.deletionTimestamp !== undefined) {
    const again = await deps.specs.remove(ref);
    deps.reporter.terminate(policy);
    return again;
  }

  const compiled = await deps.compile(policy);
  if (hasChanged(policy, deps.findPolicy(ref))) return undefined;
  if (!compiled.ok) return reject(deps, policy, joinRemarks(compiled.errors, compiled.moreErrors));

  const wanted = { spec: compiled.spec, hash: compiled.hash, generation: policy.metadata.generation };
  const again = await distribute(deps, policy, wanted);
  if (again?.problem === undefined) deps.reporter.accept(policy, wanted, compiled.warnings);
  else deps.reporter.fail(policy, again.problem, deps.specs.distributed(policyKey(ref)));
  return again;
}

/** A change while a large policy is compiled puts it into the queue again. */
function hasChanged(before: PolicyObject, now: PolicyObject | undefined): boolean {
  const { uid, generation } = before.metadata;
  return now?.metadata.uid !== uid || now?.metadata.generation !== generation;
}

/** The spec that ran before stays distributed, and is put back if its ConfigMap is deleted meanwhile. */
async function reject(deps: ReconcileDeps, policy: PolicyObject, message: string): Promise<Again> {
  const ref = policyRefOf(policy);
  const running = await deps.specs.lastGood(ref);
  deps.reporter.reject(policy, message, running);
  return running && deps.specs.apply(running, (name) => deps.isInUse(ref, name));
}

async function distribute(deps: ReconcileDeps, policy: PolicyObject, wanted: WantedSpec): Promise<Again> {
  const ref = policyRefOf(policy);
  try {
    return await deps.specs.apply(wanted, (name) => deps.isInUse(ref, name));
  } catch (error) {
    // The next leader, or this one when it leads again, writes it: nothing is wrong with the policy.
    if (!isNotLeading(error))
      deps.reporter.fail(policy, errorText(error), deps.specs.distributed(policyKey(ref)));
    throw error;
  }
}
