/** The value that a function returns. */
import type { ArgType, ReturnDef } from "../../crds/hook-spec.ts";
import type { Problems } from "../problems.ts";
import type { ProbeArgument } from "../types.ts";
import { checkLabel, isReadable, refuseType } from "./args.ts";

const OF_ARGUMENTS = [
  "source",
  "resolve",
  "btfType",
  "btfTypeModule",
  "returnCopy",
  "maxData",
  "sizeArgIndex",
] as const;

/** Types that need more than the value itself. */
const NOT_RETURNED: Record<string, string> = {
  auto: "auto does not fit a return value: name the type, for example int",
  char_buf: "char_buf does not fit a return value: its size is not known",
  const_buf: "const_buf does not fit a return value: its size is not known",
  syscall64: "syscall64 fits tracepoints only",
};

/** What to read at return; members that only arguments have are errors. */
export function compileReturn(arg: ProbeArgument, path: string, problems: Problems): ReturnDef {
  for (const name of OF_ARGUMENTS) {
    if (arg[name]) problems.error(`${path}.${name}`, "fits arguments only, not the return value");
  }
  const reason = Object.hasOwn(NOT_RETURNED, arg.type) ? NOT_RETURNED[arg.type] : undefined;
  if (reason !== undefined) problems.error(`${path}.type`, reason);
  else if (!isReadable(arg.type)) refuseType(arg.type, `${path}.type`, problems);
  checkLabel(arg.label, `${path}.label`, problems);
  return { type: arg.type as ArgType, ...(arg.label ? { label: arg.label } : {}) };
}
