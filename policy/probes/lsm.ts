/** Entries of lsmhooks. */
import type { HookDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import type { Problems } from "../problems.ts";
import { quote } from "../suggest.ts";
import type { LsmProbe } from "../types.ts";
import { compileArgs } from "./args.ts";
import type { ProbeContext } from "./context.ts";
import { checkArgsOfCall } from "./fit.ts";
import { compileCommon } from "./probe.ts";
import { nameDoubt } from "./prototypes.ts";

const HOOK = /^[a-z_][a-z0-9_]*$/;
const PREFIX = /^(?:bpf_lsm_|security_)/;

/** Functions whose hooks are not named after them, without their prefix. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  bprm_check: "bprm_check_security",
  create_user_ns: "userns_create",
};

/** The hook of a Linux Security Module. */
export function compileLsmHook(probe: LsmProbe, context: ProbeContext): HookDef[] {
  const { path, section, problems } = context;
  const named = checkHookName(probe.hook, `${path}.hook`, problems);
  const call = { name: probe.hook, syscall: false, path: `${path}.hook`, lsm: true };
  const args = compileArgs(probe, context);
  if (named) checkArgsOfCall(args, path, call, problems);
  const common = compileCommon(
    probe,
    { calls: named ? [call] : [], args, data: 0, returnArg: undefined },
    context,
  );
  return [{ path, section, call: probe.hook, syscall: false, ignoreCallNotFound: false, args, ...common }];
}

function checkHookName(name: string, path: string, problems: Problems): boolean {
  const error = nameError(name);
  if (error !== undefined) problems.error(path, error);
  else {
    const doubt = nameDoubt({ name, syscall: false, lsm: true });
    if (doubt) problems.warn(path, `${quote(name)} ${doubt}`);
  }
  return error === undefined;
}

function nameError(name: string): string | undefined {
  if (name === "") return "is empty: name a hook, such as bprm_check_security";
  if (!HOOK.test(name)) return `${quote(name)} is not the name of a hook: lower-case letters, digits and "_"`;
  const bare = name.replace(PREFIX, "");
  const other = Object.hasOwn(OTHER_NAMES, bare) ? OTHER_NAMES[bare] : undefined;
  if (bare !== name || other !== undefined) {
    return `${quote(name)} is the name of a function: write the hook's name, ${other ?? (bare || "such as capset")}`;
  }
  if (name.length > HOOK_SPEC_LIMITS.functionNameLength)
    return `is longer than ${HOOK_SPEC_LIMITS.functionNameLength} characters`;
  return undefined;
}
