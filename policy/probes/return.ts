/** The value that a function returns. */
import { type ArgType, isReadable, traitsOf } from "../../crds/argument-types.ts";
import type { ReturnDef } from "../../crds/hook-spec.ts";
import { ACTIONS } from "../../crds/schema/words.ts";
import type { Problems } from "../problems.ts";
import { didYouMean, quote } from "../suggest.ts";
import { refuse } from "../support.ts";
import type { ProbeArgument } from "../types.ts";
import { checkLabel, unreadable } from "./args.ts";

/** Members that would make it another value. */
const OF_ARGUMENTS = ["source", "resolve", "btfType", "btfTypeModule"] as const;
/** Members that describe how the bytes of an argument are copied. */
const NO_EFFECT = ["returnCopy", "maxData", "sizeArgIndex"] as const;

/** Why a type does not fit a return value; undefined where it does. */
function misfit(type: ArgType): string | undefined {
  const { family, only } = traitsOf(type);
  if (family === "placeholder") return `${type} does not fit a return value: name the type, for example int`;
  if (family === "buffer") return `${type} does not fit a return value: its size is not known`;
  return only && `${type} fits ${only} only`;
}

/** Upstream acts on sockets only and ignores every other action. */
export function checkReturnAction(action: string, path: string, problems: Problems): void {
  if (action === "TrackSock" || action === "UntrackSock") refuse(action, path, problems);
  else if (action === "Post") problems.warn(path, "has no effect: Post is what happens anyway, leave it out");
  else if ((ACTIONS as readonly string[]).includes(action))
    problems.warn(
      path,
      `has no effect: leave it out, or write ${action} under matchReturnActions of a selector`,
    );
  else
    problems.error(
      path,
      `${quote(action)} is not an action${didYouMean(action, ACTIONS) || ": leave it out"}`,
    );
}

/** What to read at return; members that only arguments have are errors. */
export function compileReturn(arg: ProbeArgument, path: string, problems: Problems): ReturnDef {
  for (const name of OF_ARGUMENTS) {
    if (arg[name]) problems.error(`${path}.${name}`, "fits arguments only, not the return value");
  }
  for (const name of NO_EFFECT) {
    if (arg[name]) problems.warn(`${path}.${name}`, "has no effect on a return value: leave it out");
  }
  checkReturnType(arg.type, `${path}.type`, problems);
  checkLabel(arg.label, `${path}.label`, problems);
  if (arg.index !== 0)
    problems.warn(
      `${path}.index`,
      `is ${arg.index}, which has no effect: there is one return value, index 0`,
    );
  return { type: arg.type as ArgType, ...(arg.label ? { label: arg.label } : {}) };
}

function checkReturnType(type: string, path: string, problems: Problems): void {
  const reason = isReadable(type) ? misfit(type) : unreadable(type);
  if (reason !== undefined) problems.error(path, reason);
}
