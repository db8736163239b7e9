/** What all kinds of probes have in common: selectors, message, tags. */
import type { HookDef, SelectorDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { child, type Problems } from "../problems.ts";
import type { SelectorScope } from "../selectors/scope.ts";
import { compileSelector } from "../selectors/selector.ts";
import { checkSubstrings } from "../selectors/substrings.ts";
import type { Selector } from "../types.ts";
import type { ProbeContext } from "./context.ts";

const MIN_TEXT = 2;

interface CommonParts {
  selectors?: Selector[];
  message?: string;
  tags?: string[];
}

/** The parts of a hook that every kind of probe has. */
export function compileCommon(
  probe: CommonParts,
  hook: Omit<SelectorScope, "lists" | "macros" | "enforcers" | "section">,
  context: ProbeContext,
): Pick<HookDef, "selectors" | "message" | "tags"> {
  const { section, path, lists, macros, enforcers, problems } = context;
  const scope = { ...hook, section, lists, macros, enforcers };
  const selectors = compileSelectors(probe.selectors ?? [], `${path}.selectors`, scope, problems);
  const message = compileMessage(probe.message, `${path}.message`, problems);
  checkTags(probe.tags ?? [], `${path}.tags`, problems);
  return {
    selectors,
    ...(message ? { message } : {}),
    ...(probe.tags?.length ? { tags: probe.tags } : {}),
  };
}

function compileSelectors(
  selectors: Selector[],
  path: string,
  scope: SelectorScope,
  problems: Problems,
): SelectorDef[] {
  const most = HOOK_SPEC_LIMITS.selectors;
  if (selectors.length > most) {
    problems.error(path, `has ${selectors.length} entries: at most ${most} are allowed`);
  }
  const compiled = selectors.map((selector, index) =>
    compileSelector(selector, child(path, index), scope, problems),
  );
  checkFilterCount(compiled, path, problems);
  checkSubstrings(compiled, path, problems);
  checkExpressions(compiled, path, problems);
  return compiled;
}

function checkFilterCount(selectors: SelectorDef[], path: string, problems: Problems): void {
  const { filters, hookFilters } = HOOK_SPEC_LIMITS;
  let sum = 0;
  for (const [index, selector] of selectors.entries()) {
    const count = selector.filters.length + (selector.returnFilters?.length ?? 0);
    sum += count;
    if (count > filters)
      problems.error(child(path, index), `has ${count} filters: at most ${filters} are allowed`);
  }
  if (sum > hookFilters) problems.error(path, `have ${sum} filters: at most ${hookFilters} are allowed`);
}

function checkExpressions(selectors: SelectorDef[], path: string, problems: Problems): void {
  const steps = selectors.flatMap(({ filters }) =>
    filters.flatMap((filter) => (filter.match === "expression" ? filter.steps : [])),
  );
  const most = HOOK_SPEC_LIMITS.expressionSteps;
  if (steps.length > most) {
    problems.error(path, `have expressions of ${steps.length} steps: at most ${most} are possible`);
  }
}

function compileMessage(message: string | undefined, path: string, problems: Problems): string | undefined {
  if (!message) return undefined;
  const characters = [...message];
  const most = HOOK_SPEC_LIMITS.messageLength;
  if (characters.length < MIN_TEXT) problems.error(path, `must have at least ${MIN_TEXT} characters`);
  if (characters.length > most)
    problems.warn(path, `has ${characters.length} characters: it is cut to ${most}`);
  return characters.slice(0, most).join("");
}

function checkTags(tags: string[], path: string, problems: Problems): void {
  for (const [index, tag] of tags.entries()) {
    const length = [...tag].length;
    if (length < MIN_TEXT || length > HOOK_SPEC_LIMITS.tagLength) {
      problems.error(
        child(path, index),
        `must have ${MIN_TEXT} to ${HOOK_SPEC_LIMITS.tagLength} characters, has ${length}`,
      );
    }
  }
}
