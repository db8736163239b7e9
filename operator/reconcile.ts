/** One policy: compile it, distribute what it compiles to, say what came of it. */
import { type PolicyRef, policyKey } from "../crds/names.ts";
import { errorText } from "../lib/logger.ts";
import { type Compile, joinRemarks, type Remark } from "./compiler.ts";
import type { WantedSpec } from "./distribute/plan.ts";
import { type PolicyObject, policyRefOf } from "./resources.ts";

/** Where the specs of policies are kept; see SpecStore. */
export interface Specs {
  apply(wanted: WantedSpec, isInUse: (name: string) => boolean): Promise<void>;
  remove(ref: PolicyRef): Promise<void>;
  lastGood(ref: PolicyRef): Promise<WantedSpec | undefined>;
  distributed(key: string): WantedSpec | undefined;
}

/** Who tells the user; see StatusReporter. */
export interface Reporter {
  accept(policy: PolicyObject, wanted: WantedSpec, warnings: readonly Remark[]): void;
  /** The newest generation cannot run; `running` is what goes on running. */
  reject(policy: PolicyObject, message: string, running: WantedSpec | undefined): void;
  /** The spec could not be written; the next try may succeed. */
  fail(policy: PolicyObject, message: string, running: WantedSpec | undefined): void;
  /** It is deleted, its specs are removed, and a finalizer of somebody else keeps the object. */
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

/** Reads everything it needs each time; running it twice changes nothing. Throws what a repetition may help. */
export async function reconcile(deps: ReconcileDeps, ref: PolicyRef): Promise<void> {
  const policy = deps.findPolicy(ref);
  if (policy === undefined) {
    deps.reporter.forget(policyKey(ref));
    return deps.specs.remove(ref);
  }
  // A finalizer of somebody else keeps the object; what its user wanted is that it ends.
  if (policy.metadata.deletionTimestamp !== undefined) {
    await deps.specs.remove(ref);
    return deps.reporter.terminate(policy);
  }

  const compiled = deps.compile(policy);
  if (!compiled.ok) return reject(deps, policy, joinRemarks(compiled.errors));

  const wanted = { spec: compiled.spec, hash: compiled.hash, generation: policy.metadata.generation };
  await distribute(deps, policy, wanted);
  deps.reporter.accept(policy, wanted, compiled.warnings);
}

/** What ran before stays distributed, and is put back if somebody deletes it meanwhile. */
async function reject(deps: ReconcileDeps, policy: PolicyObject, message: string): Promise<void> {
  const ref = policyRefOf(policy);
  const running = await deps.specs.lastGood(ref);
  deps.reporter.reject(policy, message, running);
  if (running !== undefined) await deps.specs.apply(running, (name) => deps.isInUse(ref, name));
}

async function distribute(deps: ReconcileDeps, policy: PolicyObject, wanted: WantedSpec): Promise<void> {
  const ref = policyRefOf(policy);
  try {
    await deps.specs.apply(wanted, (name) => deps.isInUse(ref, name));
  } catch (error) {
    deps.reporter.fail(policy, errorText(error), deps.specs.distributed(policyKey(ref)));
    throw error;
  }
}
