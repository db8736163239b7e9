/** Settings of a policy; upstream ignores names that it does not know, here they are errors. */
import type { Problems } from "./problems.ts";
import { didYouMean, quote } from "./suggest.ts";
import { refuse } from "./support.ts";
import type { PolicySpec } from "./types.ts";

const BOOLEAN = /^(?:1|t|true|0|f|false)$/i;

/** Options that are taken, with a test of the value and what it must be. None changes a hook spec. */
const OPTIONS: Record<string, { fits: (value: string) => boolean; allowed: string }> = {
  "disable-kprobe-multi": { fits: (value) => BOOLEAN.test(value), allowed: "true or false" },
  "disable-uprobe-multi": { fits: (value) => BOOLEAN.test(value), allowed: "true or false" },
  "policy-mode": { fits: (value) => ["enforce", "monitor"].includes(value), allowed: "enforce or monitor" },
};

const REFUSED = ["override-method", "sleepable-preload-size"] as const;

/** Reports options that are unknown, set twice, or have a value that does not fit. */
export function checkOptions(spec: PolicySpec, problems: Problems): void {
  const seen = new Set<string>();
  for (const [index, { name, value }] of (spec.options ?? []).entries()) {
    const path = `spec.options[${index}]`;
    if (seen.has(name)) problems.error(`${path}.name`, `${quote(name)} is set a second time`);
    seen.add(name);
    checkOption(name, value ?? "", path, problems);
  }
}

function checkOption(name: string, value: string, path: string, problems: Problems): void {
  const refused = REFUSED.find((known) => known === name);
  if (refused) {
    refuse(`option ${refused}`, `${path}.name`, problems);
    return;
  }
  const option = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
  if (!option) {
    const known = Object.keys(OPTIONS);
    const hint = didYouMean(name, known) || `: known are ${known.join(", ")}`;
    problems.error(`${path}.name`, `unknown option ${quote(name)}${hint}`);
  } else if (!option.fits(value)) {
    problems.error(`${path}.value`, `${quote(value)} does not fit ${name}: must be ${option.allowed}`);
  }
}
