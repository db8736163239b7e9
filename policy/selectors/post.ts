/** The action Post: how often, and what the event has beside the arguments. */
import type { ActionDef } from "../../crds/hook-spec.ts";
import type { Problems } from "../problems.ts";
import { didYouMean, quote } from "../suggest.ts";
import type { Action } from "../types.ts";
import type { SelectorScope } from "./scope.ts";

const SCOPES = ["thread", "process", "global"] as const;
const UNIT_MS: Record<string, number> = { "": 1000, s: 1000, m: 60_000, h: 3_600_000 };
const MAX_INTERVAL_MS = 2 ** 32 - 1;

/** The action with its members. */
export function compilePost(
  action: Action,
  path: string,
  scope: SelectorScope,
  problems: Problems,
): ActionDef {
  if (action.imaHash && scope.section !== "lsmhooks")
    problems.error(`${path}.imaHash`, "fits lsmhooks only: elsewhere the hash cannot be asked for");
  const intervalMs = action.rateLimit
    ? parseRateLimit(action.rateLimit, `${path}.rateLimit`, problems)
    : undefined;
  const limit = { intervalMs: intervalMs ?? 0, scope: parseScope(action, path, problems) };
  return {
    action: "Post",
    ...(intervalMs === undefined ? {} : { rateLimit: limit }),
    ...(action.kernelStackTrace ? { kernelStackTrace: true } : {}),
    ...(action.userStackTrace ? { userStackTrace: true } : {}),
    ...(action.imaHash ? { imaHash: true } : {}),
  };
}

/** Milliseconds of `30`, `30s`, `5m` or `1h`; undefined for no limit. */
function parseRateLimit(text: string, path: string, problems: Problems): number | undefined {
  const [, digits, unit] = /^(\d{1,15})([smh]?)$/i.exec(text) ?? [];
  const factor = unit === undefined ? undefined : UNIT_MS[unit.toLowerCase()];
  if (digits === undefined || factor === undefined) {
    const right = text.includes("/")
      ? "is a rate: write the time in which an equal event is posted once at most, such as 1m"
      : "is not a time: write seconds, or a number with s, m or h, such as 1m";
    problems.error(path, `${quote(text)} ${right}`);
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
