/** The hooks of a policy: entries of kprobes and fentries. */
import type { HookDef, SelectorDef } from "../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../crds/hook-spec-schema.ts";
import { checkArgsOfCall, compileArgs } from "./args.ts";
import { resolveCalls } from "./calls.ts";
import type { Lists } from "./lists.ts";
import { child, type Problems } from "./problems.ts";
import { compileSelector } from "./selectors/selector.ts";
import { refuse } from "./support.ts";
import type { FunctionProbe, PolicySpec } from "./types.ts";

const MIN_TEXT = 2;

/** Every hook of a section; a probe on a list makes one hook per entry. */
export function compileHooks(
  spec: PolicySpec,
  section: "kprobes" | "fentries",
  lists: Lists,
  problems: Problems,
): HookDef[] {
  const hooks = (spec[section] ?? []).flatMap((probe, index) => {
    const path = `spec.${section}[${index}]`;
    const base = compileProbe(probe, path, spec, lists, problems);
    return resolveCalls(probe, path, lists, problems).map((call): HookDef => {
      checkArgsOfCall(base.args, path, call, problems);
      return { ...base, path, section, call: call.name, syscall: call.syscall };
    });
  });
  if (hooks.length > HOOK_SPEC_LIMITS.hooks) {
    problems.error(
      `spec.${section}`,
      `makes ${hooks.length} hooks: at most ${HOOK_SPEC_LIMITS.hooks} are allowed`,
    );
  }
  return hooks;
}

type ProbeBase = Omit<HookDef, "path" | "section" | "call" | "syscall">;

function compileProbe(
  probe: FunctionProbe,
  path: string,
  spec: PolicySpec,
  lists: Lists,
  problems: Problems,
): ProbeBase {
  if (probe.return) refuse("return", `${path}.return`, problems);
  else if (probe.returnArg) problems.error(`${path}.returnArg`, "has no effect without return: true");
  if (probe.returnArgAction) refuse("returnArgAction", `${path}.returnArgAction`, problems);
  const args = compileArgs(probe, path, problems);
  const selectors = probe.selectors ?? [];
  if (selectors.length > HOOK_SPEC_LIMITS.selectors) {
    const most = HOOK_SPEC_LIMITS.selectors;
    problems.error(`${path}.selectors`, `has ${selectors.length} entries: at most ${most} are allowed`);
  }
  const scope = { args, lists, macros: spec.selectorsMacros };
  const compiled = selectors.map((s, index) =>
    compileSelector(s, child(`${path}.selectors`, index), scope, problems),
  );
  checkFilterCount(compiled, `${path}.selectors`, problems);
  const message = compileMessage(probe.message, `${path}.message`, problems);
  checkTags(probe.tags ?? [], `${path}.tags`, problems);
  return {
    ignoreCallNotFound: probe.ignore?.callNotFound ?? false,
    args,
    selectors: compiled,
    ...(message ? { message } : {}),
    ...(probe.tags?.length ? { tags: probe.tags } : {}),
  };
}

function checkFilterCount(selectors: SelectorDef[], path: string, problems: Problems): void {
  const { filters, hookFilters } = HOOK_SPEC_LIMITS;
  let sum = 0;
  for (const [index, selector] of selectors.entries()) {
    const count = selector.filters.length;
    sum += count;
    if (count > filters)
      problems.error(child(path, index), `has ${count} filters: at most ${filters} are allowed`);
  }
  if (sum > hookFilters) problems.error(path, `have ${sum} filters: at most ${hookFilters} are allowed`);
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
