/** What a selector does when it matches: matchActions, matchReturnActions. */
import type { ActionDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { child, type Problems } from "../problems.ts";
import { isUnsupported, refuse } from "../support.ts";
import type { Action } from "../types.ts";
import { notifyActions, overrideAction, signalAction } from "./enforcement.ts";
import { compilePost } from "./post.ts";
import type { SelectorScope } from "./scope.ts";

/** Members that only some actions have. */
const MEMBERS: Partial<Record<keyof Action, readonly string[]>> = {
  argError: ["Override", "NotifyEnforcer"],
  argSig: ["Signal", "NotifyEnforcer"],
  argFqdn: ["DnsLookup"],
  argIndex: ["Set"],
  argNewAddr: [],
  argNewOffset: [],
  argNewSymbol: [],
  argRegs: [],
  argSock: ["TrackSock", "UntrackSock"],
  argUrl: ["GetUrl"],
  argValue: ["Set"],
};
/** Members of Post that change what an event has; on other actions they would be lost in silence. */
const OF_POST = ["kernelStackTrace", "userStackTrace", "imaHash", "rateLimit", "rateLimitScope"] as const;

/** Where a list of actions stands. */
export interface ActionPlace {
  path: string;
  /** True: the actions are done when the function returns. */
  atReturn: boolean;
}

/** The actions of a selector; Post and NoPost exclude each other. */
export function compileActions(
  actions: { value: Action; path: string }[],
  place: ActionPlace,
  scope: SelectorScope,
  problems: Problems,
): ActionDef[] {
  const most = HOOK_SPEC_LIMITS.actions;
  if (actions.length > most)
    problems.error(place.path, `has ${actions.length} entries: at most ${most} are allowed`);
  const seen = new Map<string, string>();
  for (const { value, path } of actions) {
    const other = value.action === "Post" ? "NoPost" : value.action === "NoPost" ? "Post" : "";
    if (seen.has(value.action))
      problems.error(`${path}.action`, `${value.action} stands at ${seen.get(value.action)} already`);
    else if (seen.has(other))
      problems.error(`${path}.action`, `${value.action} contradicts ${other} at ${seen.get(other)}`);
    seen.set(value.action, path);
  }
  warnOfLostHash(actions, problems);
  return actions.flatMap(({ value, path }) => compileAction(value, path, place, scope, problems) ?? []);
}

/** A hash takes a program that may sleep, and that one would run after the decision. */
function warnOfLostHash(actions: { value: Action; path: string }[], problems: Problems): void {
  const hashed = actions.find(({ value }) => value.imaHash);
  if (!hashed || !actions.some(({ value }) => value.action === "Override")) return;
  problems.warn(
    `${hashed.path}.imaHash`,
    "has no effect beside Override: the kernel stops at the hook that refuses, before the file is hashed. Hash it at a hook that runs earlier, for example bprm_creds_for_exec",
  );
}

function compileAction(
  action: Action,
  path: string,
  { atReturn }: ActionPlace,
  scope: SelectorScope,
  problems: Problems,
): ActionDef | ActionDef[] | undefined {
  const name = action.action;
  if (isUnsupported(name)) {
    refuse(name, `${path}.action`, problems);
    return undefined;
  }
  checkMembers(action, path, problems);
  switch (name) {
    case "Post":
      return compilePost(action, path, scope, problems);
    case "Signal":
      return signalAction(action, path, problems);
    case "Override":
      return overrideAction(action, path, atReturn, scope, problems);
    case "NotifyEnforcer":
      return notifyActions(action, path, atReturn, scope, problems);
    case "NoPost":
    case "Sigkill":
      return { action: name };
    default:
      problems.error(`${path}.action`, `the action ${name} is not supported`);
      return undefined;
  }
}

function checkMembers(action: Action, path: string, problems: Problems): void {
  for (const name of OF_POST) {
    if (action[name] && action.action !== "Post")
      problems.error(child(path, name), `fits the action Post only, not ${action.action}`);
  }
  for (const [name, fitting] of Object.entries(MEMBERS)) {
    if (action[name as keyof Action] !== undefined && !fitting.includes(action.action))
      problems.warn(child(path, name), `has no effect on ${action.action}`);
  }
}
