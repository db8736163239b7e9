/** Following struct members from a value: resolve and btfType. */
import type { ArgDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import type { Problems } from "../problems.ts";
import { quote } from "../suggest.ts";
import type { ProbeArgument } from "../types.ts";
import type { ArgRules } from "./context.ts";
import { checkMembers } from "./recorded-members.ts";

const LEVELS = 10;
/** The first level may be an index alone: the value points into an array. */
const LEVEL = /^[A-Za-z_]\w*(?:\[\d{1,9}\])*$/;
const FIRST_LEVEL = /^(?:[A-Za-z_]\w*)?(?:\[\d{1,9}\])*$/;
const IDENTIFIER = /^[A-Za-z_]\w*$/;
const MODULE = /^[A-Za-z0-9_-]+$/;

/** The members to follow and the type to start from. */
export function compileMembers(
  arg: ProbeArgument,
  path: string,
  rules: ArgRules,
  problems: Problems,
): Pick<ArgDef, "resolve" | "btfType" | "btfTypeModule"> {
  if (arg.resolve) {
    checkResolve(arg, arg.resolve, path, rules, problems);
    warnOfOtherNumber(arg, arg.resolve, `${path}.type`, problems);
  }
  const hasType = compileBtfType(arg, path, problems);
  return {
    ...(arg.resolve ? { resolve: arg.resolve } : {}),
    ...(hasType && arg.btfType ? { btfType: arg.btfType } : {}),
    ...(hasType && arg.btfTypeModule ? { btfTypeModule: arg.btfTypeModule } : {}),
  };
}

function checkResolve(
  arg: ProbeArgument,
  resolve: string,
  path: string,
  rules: ArgRules,
  problems: Problems,
): void {
  const error = resolveError(resolve) ?? contextError(arg, rules);
  const start = startOf(arg);
  if (error !== undefined) problems.error(`${path}.resolve`, error);
  else if (start !== undefined) checkMembers({ type: arg.type, resolve }, () => start, path, problems);
}

/** The structure that the path starts from where the policy names it; that of a parameter depends on the call. */
function startOf({ source, btfType, btfTypeModule }: ProbeArgument): string | undefined {
  if (source === "current_task") return "task_struct";
  return source || btfTypeModule ? undefined : btfType?.replace(/^(?:struct|union) /, "");
}

/** Members of the kernel that are the number of one capability have it in their name. A register may hold any number. */
function warnOfOtherNumber(
  { type, source }: ProbeArgument,
  resolve: string,
  path: string,
  problems: Problems,
) {
  const name = resolve.slice(resolve.lastIndexOf(".") + 1);
  if (type !== "capability" || source === "pt_regs" || /cap/i.test(name)) return;
  problems.warn(path, `shows ${quote(resolve)} as a capability, and its name is that of another number`);
}

/** What is wrong with the text; undefined when it is a path of members. */
export function resolveError(resolve: string): string | undefined {
  const levels = resolve.split(".");
  const wrong = levels.find((level, n) => level === "" || !(n === 0 ? FIRST_LEVEL : LEVEL).test(level));
  if (wrong !== undefined) {
    const what = wrong === "" ? "has an empty member" : `${quote(wrong)} is not a member`;
    const dotted = resolve.replaceAll("->", ".");
    return dotted !== resolve && resolveError(dotted) === undefined
      ? `${what}: write ${dotted}`
      : `${what}: write names with dots between them and [n] for an entry of an array, such as cred.uid.val`;
  }
  if (levels.length > LEVELS) return `has ${levels.length} levels: at most ${LEVELS} are followed`;
  if (resolve.length > HOOK_SPEC_LIMITS.resolveLength)
    return `is longer than ${HOOK_SPEC_LIMITS.resolveLength} characters`;
  return undefined;
}

function contextError(arg: ProbeArgument, rules: ArgRules): string | undefined {
  if (rules.syscall)
    return "does not fit the arguments of a system call: what they point to is not in the kernel";
  if (rules.fields) return "fits tracepoints with raw: true only: fields of a trace event have no members";
  if (arg.type === "nop") return "has no effect with nop, which reads nothing: give the value its type";
  return undefined;
}

function compileBtfType(arg: ProbeArgument, path: string, problems: Problems): boolean {
  const { btfType, btfTypeModule } = arg;
  if (!btfType) {
    if (btfTypeModule) problems.error(`${path}.btfTypeModule`, "belongs to btfType, which is missing");
    return false;
  }
  if (arg.source) problems.error(`${path}.btfType`, "fits arguments only: a source has a type of its own");
  const bare = btfType.replace(/^(?:struct|union)\s+/, "");
  if (!IDENTIFIER.test(btfType)) {
    const right = IDENTIFIER.test(bare) ? `write ${bare}` : "write the name of a structure, such as cred";
    problems.error(`${path}.btfType`, `${quote(btfType)} is not a type: ${right}`);
  } else checkLength(btfType, `${path}.btfType`, problems);
  if (btfTypeModule) checkModule(btfTypeModule, `${path}.btfTypeModule`, problems);
  if (!arg.resolve) problems.warn(`${path}.btfType`, "has no effect without resolve");
  return arg.resolve !== undefined && arg.resolve !== "";
}

function checkModule(name: string, path: string, problems: Problems): void {
  if (!MODULE.test(name)) problems.error(path, `${quote(name)} is not the name of a kernel module`);
  else checkLength(name, path, problems);
}

function checkLength(name: string, path: string, problems: Problems): void {
  const most = HOOK_SPEC_LIMITS.functionNameLength;
  if (name.length > most) problems.error(path, `is longer than ${most} characters`);
}
