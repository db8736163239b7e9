/** What stands for enforcers and NotifyEnforcer in our policies: the hook that decides also acts. */
import type { Action, PolicySpec, Selector } from "./types.ts";

/** The probes that do the same as the policy's enforcers; undefined if it lacks one of the two halves. */
export function replacementOf(spec: PolicySpec): string | undefined {
  const calls = [...new Set((spec.enforcers ?? []).flatMap(({ calls }) => calls))];
  const actions = [...new Set(selectorsOf(spec).flatMap(notifications))];
  if (calls.length === 0 || actions.length === 0) return undefined;
  return `for this policy: kprobes with ${callsText(calls)}, the selectors that decide, and matchActions ${actions.join(" or ")}`;
}

function selectorsOf({
  kprobes = [],
  fentries = [],
  tracepoints = [],
  lsmhooks = [],
}: PolicySpec): Selector[] {
  return [...kprobes, ...fentries, ...tracepoints, ...lsmhooks].flatMap(({ selectors = [] }) => selectors);
}

function notifications({ matchActions = [] }: Selector): string[] {
  return matchActions.filter(({ action }) => action === "NotifyEnforcer").map(actionsText);
}

/** An enforcer returns the error instead of making the call, and sends the signal; either may be absent. */
function actionsText({ argError, argSig }: Action): string {
  const override = argError ? [`{ action: Override, argError: ${argError} }`] : [];
  const signal = argSig
    ? [argSig === 9 ? "{ action: Sigkill }" : `{ action: Signal, argSig: ${argSig} }`]
    : [];
  return `[${[...override, ...signal].join(", ")}]`;
}

function callsText(calls: readonly string[]): string {
  const [first = ""] = calls;
  const call = calls.length === 1 ? `call: ${first}` : `one entry for each call of ${calls.join(", ")}`;
  return `${call}, syscall: ${first.startsWith("security_") ? "false" : "true"}`;
}
