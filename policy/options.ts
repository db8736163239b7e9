/** Settings of a policy; upstream ignores names that it does not know, here they are errors. */
import type { HookSpec } from "../crds/hook-spec.ts";
import type { Problems } from "./problems.ts";
import { didYouMean, quote } from "./suggest.ts";
import { refuse } from "./support.ts";
import type { PolicySpec } from "./types.ts";

const BOOLEAN = /^(?:1|t|true|0|f|false)$/i;

const oneOf = (...words: string[]) => ({
  fits: (value: string) => words.includes(value),
  allowed: words.join(" or "),
});
const FLAG = { fits: (value: string) => BOOLEAN.test(value), allowed: "true or false" };

/** Options that are taken, with a test of the value and what it must be. */
const OPTIONS: Record<string, { fits: (value: string) => boolean; allowed: string; noEffect?: string }> = {
  "credential-drift": FLAG,
  "disable-kprobe-multi": FLAG,
  "disable-uprobe-multi": FLAG,
  "override-method": {
    ...oneOf("fmod-ret", "override-return"),
    noEffect: "each node takes the method that fits the hook",
  },
  "policy-mode": oneOf("enforce", "monitor", "count"),
};

const REFUSED = ["sleepable-preload-size"] as const;

/** The options that change the hook spec; reports those that are unknown, set twice, or have a value that does not fit. */
export function compileOptions(spec: PolicySpec, problems: Problems): Pick<HookSpec, "mode"> {
  checkOptions(spec, problems);
  const mode = optionOf(spec, "policy-mode");
  return mode === "enforce" || mode === "monitor" || mode === "count" ? { mode } : {};
}

/** Whether each hook compares the credentials of the tasks that come by with those that the kernel gave them. */
export function wantsDrift(spec: PolicySpec): boolean {
  return /^(?:1|t|true)$/i.test(optionOf(spec, "credential-drift") ?? "");
}

function optionOf(spec: PolicySpec, option: string): string | undefined {
  return spec.options?.find(({ name }) => name === option)?.value;
}

function checkOptions(spec: PolicySpec, problems: Problems): void {
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
  } else if (option.noEffect !== undefined) {
    problems.warn(`${path}.value`, `has no effect: ${option.noEffect}`);
  }
}
