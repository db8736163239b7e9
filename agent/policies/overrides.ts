/** What clients change about policies of any source, without changing the policies: off or on, and the mode. */
import type { Mode } from "../hooks/engine.ts";
import type { DesiredPolicy, SpecSource } from "./sources/source.ts";

/** Absent parts are as the policy says. */
export interface Override {
  isDisabled?: boolean;
  mode?: Mode;
}

/** The changes, until the agent ends or the policy goes. */
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

  /** The policy is gone: another one of its name begins as it is written. */
  forget(key: string): void {
    this.#overrides.delete(key);
  }
}

/** The source's policies with the changes in them. */
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
  if (mode === undefined || "problem" in policy) return policy;
  return { ...policy, spec: { ...policy.spec, mode } };
}
