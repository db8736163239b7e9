/** Changes by clients of the API to policies of any source: whether a policy is enabled, and its mode. */
import type { Mode } from "../hooks/engine.ts";
import type { DesiredPolicy, SpecSource } from "./sources/source.ts";

/** A client's changes to one policy; absent fields leave the policy's own value. */
export interface Override {
  isDisabled?: boolean;
  mode?: Mode;
}

/** Keeps the changes until the agent stops or the policy is removed. */
export class PolicyOverrides {
  readonly #overrides = new Map<string, Override>();
  #listener: () => void = () => {};

  get(key: string): Override {
    return this.#overrides.get(key) ?? {};
  }

  /** Called after each change. */
  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  change(key: string, change: Override): void {
    this.#overrides.set(key, { ...this.get(key), ...change });
    this.#listener();
  }

  /** Drops the changes to a removed policy. A new policy with the same name starts without them. */
  forget(key: string): void {
    this.#overrides.delete(key);
  }
}

/** Returns a source with the same policies, changed as the clients asked. */
export function withOverrides(source: SpecSource, overrides: PolicyOverrides): SpecSource {
  return {
    name: source.name,
    onChange: (listener) => source.onChange(listener),
    close: () => source.close(),
    desired: () => {
      const desired = source.desired();
      return (
        desired && new Map([...desired].map(([key, policy]) => [key, changed(policy, overrides.get(key))]))
      );
    },
  };
}

function changed(policy: DesiredPolicy, { isDisabled, mode }: Override): DesiredPolicy {
  if (isDisabled) return { ...policy, isDisabled };
  if (mode === undefined || !("spec" in policy)) return policy;
  return { ...policy, spec: { ...policy.spec, mode } };
}
