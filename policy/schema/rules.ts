/** The CEL rules of the definitions, so that a file is refused for what the API server would refuse. */
import { child, type Problems } from "../problems.ts";
import type { Policy, PolicySpec, Selector } from "../types.ts";

const SECTIONS = ["kprobes", "fentries", "tracepoints", "lsmhooks", "uprobes", "usdts"] as const;
const HOST_SELECTOR = "must be absent or {}: the host has no labels to select by";

/** Reports everything that the API server's rules would refuse. */
export function checkRules(policy: Policy, problems: Problems): void {
  const { spec } = policy;
  if (policy.kind === "TracingPolicyNamespaced" && spec.hostSelector) {
    problems.error(
      "spec.hostSelector",
      "is not allowed in a TracingPolicyNamespaced: the host is in no namespace",
    );
  }
  checkHostSelector(spec.hostSelector, "spec.hostSelector", problems);
  for (const section of SECTIONS) checkSection(spec, section, problems);
  for (const [name, macro] of Object.entries(spec.selectorsMacros ?? {})) {
    checkSelector(macro, child("spec.selectorsMacros", name), problems);
  }
}

function checkSection(spec: PolicySpec, section: (typeof SECTIONS)[number], problems: Problems): void {
  for (const [index, probe] of (spec[section] ?? []).entries()) {
    const path = `spec.${section}[${index}]`;
    if ("return" in probe && probe.return && !("returnArg" in probe && probe.returnArg)) {
      problems.error(
        `${path}.returnArg`,
        "is missing: return: true needs it, for example {index: 0, type: int}",
      );
    }
    if ("path" in probe) checkOnlyOne(probe, ["symbols", "offsets", "addrs"], path, problems);
    for (const [s, selector] of (probe.selectors ?? []).entries()) {
      checkSelector(selector, `${path}.selectors[${s}]`, problems);
    }
  }
}

function checkSelector(selector: Selector, path: string, problems: Problems): void {
  checkHostSelector(selector.matchWorkloads?.hostSelector, `${path}.matchWorkloads.hostSelector`, problems);
  for (const list of ["matchActions", "matchReturnActions"] as const) {
    for (const [index, action] of (selector[list] ?? []).entries()) {
      checkOnlyOne(
        action,
        ["argNewSymbol", "argNewAddr", "argNewOffset"],
        `${path}.${list}[${index}]`,
        problems,
      );
    }
  }
}

function checkHostSelector(selector: PolicySpec["hostSelector"], path: string, problems: Problems): void {
  if (selector?.matchLabels || selector?.matchExpressions) problems.error(path, HOST_SELECTOR);
}

function checkOnlyOne(value: object, names: string[], path: string, problems: Problems): void {
  const present = names.filter((name) => Object.hasOwn(value, name));
  if (present.length > 1) problems.error(path, `sets ${present.join(" and ")}: only one of them is allowed`);
}
