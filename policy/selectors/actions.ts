/** What a selector does when it matches: matchActions. */
import type { ActionDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { child, type Problems } from "../problems.ts";
import { didYouMean, quote } from "../suggest.ts";
import { isUnsupported, refuse } from "../support.ts";
import type { Action } from "../types.ts";

const SCOPES = ["thread", "process", "global"] as const;
const UNIT_MS: Record<string, number> = { "": 1000, s: 1000, m: 60_000, h: 3_600_000 };
const MAX_INTERVAL_MS = 2 ** 32 - 1;

/** Members of an action that are about other actions than Post. */
const OF_OTHER_ACTIONS = [
  "argError",
  "argFqdn",
  "argIndex",
  "argNewAddr",
  "argNewOffset",
  "argNewSymbol",
  "argRegs",
  "argSig",
  "argSock",
  "argUrl",
  "argValue",
] as const;

/** The actions of a selector; Post and NoPost exclude each other. */
export function compileActions(
  actions: { value: Action; path: string }[],
  path: string,
  problems: Problems,
): ActionDef[] {
  if (actions.length > HOOK_SPEC_LIMITS.actions) {
    problems.error(path, `has ${actions.length} entries: at most ${HOOK_SPEC_LIMITS.actions} are allowed`);
  }
  const seen = new Map<string, string>();
  for (const { value, path: at } of actions) {
    const other = value.action === "Post" ? "NoPost" : value.action === "NoPost" ? "Post" : "";
    if (seen.has(value.action))
      problems.error(`${at}.action`, `${value.action} stands at ${seen.get(value.action)} already`);
    else if (seen.has(other))
      problems.error(`${at}.action`, `${value.action} contradicts ${other} at ${seen.get(other)}`);
    seen.set(value.action, at);
  }
  return actions.flatMap(({ value, path: at }) => compileAction(value, at, problems) ?? []);
}

function compileAction(action: Action, path: string, problems: Problems): ActionDef | undefined {
  checkMembers(action, path, problems);
  if (action.action === "NoPost") return { action: "NoPost" };
  if (action.action !== "Post") {
    if (isUnsupported(action.action)) refuse(action.action, `${path}.action`, problems);
    else problems.error(`${path}.action`, `the action ${action.action} is not supported yet`);
    return undefined;
  }
  const intervalMs = action.rateLimit
    ? parseRateLimit(action.rateLimit, `${path}.rateLimit`, problems)
    : undefined;
  const scope = parseScope(action, path, problems);
  return { action: "Post", ...(intervalMs === undefined ? {} : { rateLimit: { intervalMs, scope } }) };
}

function checkMembers(action: Action, path: string, problems: Problems): void {
  const isPost = action.action === "Post";
  for (const name of ["kernelStackTrace", "userStackTrace", "imaHash"] as const) {
    if (action[name] && isPost) refuse(name, child(path, name), problems);
    else if (action[name])
      problems.error(child(path, name), `fits the action Post only, not ${action.action}`);
  }
  for (const name of ["rateLimit", "rateLimitScope"] as const) {
    if (action[name] && !isPost)
      problems.error(child(path, name), `fits the action Post only, not ${action.action}`);
  }
  if (!isPost && action.action !== "NoPost") return;
  for (const name of OF_OTHER_ACTIONS) {
    if (action[name] !== undefined) problems.warn(child(path, name), `has no effect on ${action.action}`);
  }
}

/** Milliseconds of `30`, `30s`, `5m` or `1h`; undefined for no limit. */
function parseRateLimit(text: string, path: string, problems: Problems): number | undefined {
  const [, digits, unit] = /^(\d{1,15})([smh]?)$/i.exec(text) ?? [];
  const factor = unit === undefined ? undefined : UNIT_MS[unit.toLowerCase()];
  if (digits === undefined || factor === undefined) {
    problems.error(
      path,
      `${quote(text)} is not a time: write seconds, or a number with s, m or h, such as 1m`,
    );
    return undefined;
  }
  const milliseconds = Number(digits) * factor;
  if (milliseconds === 0) problems.warn(path, `${quote(text)} limits nothing`);
  if (milliseconds > MAX_INTERVAL_MS)
    problems.warn(path, `${quote(text)} is cut to 49 days, the longest interval`);
  return milliseconds === 0 ? undefined : Math.min(milliseconds, MAX_INTERVAL_MS);
}

function parseScope(action: Action, path: string, problems: Problems): (typeof SCOPES)[number] {
  const written = action.rateLimitScope;
  if (!written) return "thread";
  if (!action.rateLimit) problems.warn(`${path}.rateLimitScope`, "has no effect without rateLimit");
  const scope = SCOPES.find((known) => known === written.toLowerCase());
  if (scope) return scope;
  const hint = didYouMean(written, SCOPES) || `: must be ${SCOPES.join(", ")}`;
  problems.error(`${path}.rateLimitScope`, `${quote(written)} is not a scope${hint}`);
  return "thread";
}
