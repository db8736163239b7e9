/** Entries of kprobes and fentries: kernel functions and system calls. */
import type { ArgDef, HookDef, ReturnDef } from "../../crds/hook-spec.ts";
import { isSyscall } from "../../crds/syscall-table.ts";
import type { Problems } from "../problems.ts";
import { quote } from "../suggest.ts";
import type { FunctionProbe } from "../types.ts";
import { isGone, warnOfGone } from "../warnings/noise.ts";
import { compileArgs } from "./args.ts";
import { type Call, resolveCalls } from "./calls.ts";
import { compareAtReturn } from "./compare-at-return.ts";
import type { ProbeContext } from "./context.ts";
import { checkArgsOfCall, checkReturnOfCall } from "./fit.ts";
import { compileCommon } from "./probe.ts";
import { nameDoubt, recordedPrototypes } from "./prototypes.ts";
import { checkReturnAction, compileReturn } from "./return.ts";

/** One hook per function that the probe stands for. */
export function compileFunction(probe: FunctionProbe, context: ProbeContext): HookDef[] {
  const { path, section, lists, problems } = context;
  const calls = resolveCalls(probe, path, lists, problems);
  const args = compileArgs(probe, context);
  const returnArg = returnOf(probe, args, path, problems);
  if (probe.returnArgAction) checkReturnAction(probe.returnArgAction, `${path}.returnArgAction`, problems);
  const data = probe.data?.length ?? 0;
  const returnIndex = probe.returnArg?.index ?? 0;
  const common = compileCommon(probe, { calls, args, data, returnArg, returnIndex }, context);
  return calls.map((call): HookDef => {
    checkArgsOfCall(args.slice(0, args.length - data), path, call, problems);
    checkReturnOfCall(returnArg, path, call, problems);
    const mayBeMissing = call.mayBeMissing || (probe.ignore?.callNotFound ?? false);
    warnOfName(call, mayBeMissing, `${path}.call`, problems);
    return compareAtReturn({
      path,
      section,
      call: call.name,
      syscall: call.syscall,
      ignoreCallNotFound: mayBeMissing || isGone(call.name),
      args,
      ...(returnArg ? { returnArg } : {}),
      ...common,
    });
  });
}

/** What is known against the name; a policy that lets it be missing knows that some kernels lack it. */
function warnOfName(call: Call, mayBeMissing: boolean, path: string, problems: Problems): void {
  if (isGone(call.name)) {
    if (!mayBeMissing) warnOfGone(call.name, path, problems);
    return;
  }
  if (call.mayBeMissing || (!call.syscall && isSyscall(call.name))) return;
  const inSome = !call.syscall && recordedPrototypes(call).length > 0;
  const doubt = inSome && mayBeMissing ? undefined : nameDoubt(call);
  if (!doubt) return;
  const remedy = inSome ? ": set ignore.callNotFound to run without the hook there" : "";
  problems.warn(call.path, `${quote(call.name)} ${doubt}${remedy}`);
}

/** What is read at return: what the policy asks for, or nothing but an argument that is filled in by then. */
function returnOf(
  probe: FunctionProbe,
  args: ArgDef[],
  path: string,
  problems: Problems,
): ReturnDef | undefined {
  if (probe.return && probe.returnArg) return compileReturn(probe.returnArg, `${path}.returnArg`, problems);
  if (probe.returnArg) problems.warn(`${path}.returnArg`, "has no effect without return: true: leave it out");
  return args.some((arg) => arg.returnCopy) ? { type: "nop" } : undefined;
}
