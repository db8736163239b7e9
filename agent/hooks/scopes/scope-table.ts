/** Scopes of the hooks that are attached: a bit each in struct cgroup_scopes, on the whole node. */
import type { WorkloadScope } from "../../../crds/hook-spec.ts";
import { encodeSorted } from "../../../crds/hook-spec-codec.ts";
import { MAX_SCOPES } from "../config/layout.ts";
import { HookError } from "../hook-error.ts";

/** Who knows the pods of this node, and decides which of them a scope means. */
export interface Workloads {
  /** Why it cannot: then hooks about pods are refused with it. */
  readonly problem: string | undefined;
  /** The scopes by their bits; when it returns, the value of every cgroup says the truth about them. */
  decide(scopes: ReadonlyMap<number, WorkloadScope>): void;
}

const NO_WORKLOADS: Workloads = {
  problem: "this agent does not know the pods of its node: it needs --kubernetes",
  decide: () => {},
};

interface TakenScope {
  name: string;
  scope: WorkloadScope;
  /** Ids of the hooks that have it. */
  users: Set<number>;
}

/** Hooks with the same scope share a bit. */
export class ScopeTable {
  readonly #workloads: Workloads;
  readonly #taken = new Map<number, TakenScope>();

  /** Without workloads all processes are the host's. */
  constructor(workloads: Workloads = NO_WORKLOADS) {
    this.#workloads = workloads;
  }

  /**
   * The scope's bit, kept until the hook releases it. Throws a HookError where pods are not known, or all bits are in
   * use.
   */
  take(hookId: number, scope: WorkloadScope): number {
    const { problem } = this.#workloads;
    if (scope.pods && problem !== undefined) throw new HookError("InvalidArgument", problem);
    const name = encodeSorted(scope);
    const shared = [...this.#taken].find(([, taken]) => taken.name === name)?.[0];
    const bit = shared ?? this.#add({ name, scope, users: new Set() });
    this.#taken.get(bit)?.users.add(hookId);
    return bit;
  }

  /** Idempotent. */
  release(hookId: number): void {
    for (const [bit, { users }] of this.#taken) {
      if (users.delete(hookId) && users.size === 0) this.#taken.delete(bit);
    }
  }

  #add(taken: TakenScope): number {
    let bit = 0;
    while (this.#taken.has(bit)) bit++;
    if (bit >= MAX_SCOPES) {
      const message = `the hooks of this node are about ${MAX_SCOPES} different sets of workloads, more are not possible`;
      throw new HookError("InvalidArgument", message);
    }
    this.#taken.set(bit, taken);
    this.#workloads.decide(new Map([...this.#taken].map(([key, { scope }]) => [key, scope])));
    return bit;
  }
}
