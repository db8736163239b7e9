/** Entries of tracepoints. */
import type { HookDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import type { Problems } from "../problems.ts";
import { quote } from "../suggest.ts";
import type { TracepointProbe } from "../types.ts";
import { compileArgs } from "./args.ts";
import type { ProbeContext } from "./context.ts";
import { compileCommon } from "./probe.ts";

const WORD = /^[A-Za-z_][A-Za-z0-9_-]*$/;

/** The hook of a tracepoint. */
export function compileTracepoint(probe: TracepointProbe, context: ProbeContext): HookDef[] {
  const { path, section, problems } = context;
  const { subsystem, event, raw = false } = probe;
  checkName(subsystem, "a subsystem", `${path}.subsystem`, problems);
  checkName(event, "an event", `${path}.event`, problems);
  const name = `${subsystem}/${event}`;
  if (raw && subsystem === "syscalls") {
    const raws = "raw_syscalls/sys_enter and raw_syscalls/sys_exit";
    problems.error(
      `${path}.raw`,
      `${quote(name)} exists as a trace event only: leave raw out, or hook ${raws}`,
    );
  }
  if (name.length > HOOK_SPEC_LIMITS.functionNameLength)
    problems.error(`${path}.event`, `is too long: ${quote(name)}`);
  const args = compileArgs(probe, context, raw);
  const calls = [{ name, syscall: false, path: `${path}.event` }];
  return [
    {
      path,
      section,
      call: name,
      tracepoint: { subsystem, event, raw },
      syscall: false,
      ignoreCallNotFound: false,
      args,
      ...compileCommon(probe, { calls, args, data: 0, returnArg: undefined }, context),
    },
  ];
}

function checkName(name: string, what: string, path: string, problems: Problems): void {
  if (name === "") problems.error(path, `is empty: name ${what} below /sys/kernel/tracing/events`);
  else if (!WORD.test(name))
    problems.error(path, `${quote(name)} is not the name of ${what}: letters, digits, "_" and "-"`);
}
