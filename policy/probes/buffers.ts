/** How many bytes of a buffer are read, and when: sizeArgIndex, maxData, returnCopy. */
import { isReadable, traitsOf } from "../../crds/argument-types.ts";
import type { ArgDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import type { Problems } from "../problems.ts";
import type { ProbeArgument } from "../types.ts";
import type { ArgRules } from "./context.ts";

const NO_EFFECT = "has no effect: leave it out, or give the argument the type char_buf instead of";
/** Registers that parameters come in. */
const PARAMETERS = HOOK_SPEC_LIMITS.argIndex + 1;

/** The members of an argument that are about buffers; a member without effect is left out with a warning. */
export function compileBuffer(
  arg: ProbeArgument,
  path: string,
  rules: ArgRules,
  problems: Problems,
): Pick<ArgDef, "returnCopy" | "maxData" | "sizeArgIndex"> {
  const { type, sizeArgIndex, maxData, returnCopy } = arg;
  if (!isSizedByCall(type) && type !== "char_iovec") {
    if (sizeArgIndex) problems.warn(`${path}.sizeArgIndex`, `${NO_EFFECT} ${type}`);
    if (maxData) problems.warn(`${path}.maxData`, `${NO_EFFECT} ${type}`);
    return returnCopy ? compileReturnCopy(arg, path, rules, problems) : {};
  }
  if (sizeArgIndex) checkSizeIndex(sizeArgIndex, `${path}.sizeArgIndex`, rules, problems);
  if (isSizedByCall(type) && !sizeArgIndex && !returnCopy && !rules.fields) {
    const otherwise = "or set returnCopy: true: the size is then what the function returns";
    problems.error(
      `${path}.sizeArgIndex`,
      `is missing: give the number, from 1, of the parameter with the size, ${otherwise}`,
    );
  }
  return {
    ...(returnCopy ? compileReturnCopy(arg, path, rules, problems) : {}),
    ...(maxData ? { maxData } : {}),
    ...(sizeArgIndex ? { sizeArgIndex } : {}),
  };
}

function isSizedByCall(type: string): boolean {
  const traits = isReadable(type) ? traitsOf(type) : undefined;
  return traits?.family === "buffer" && traits.sizeFrom === "call";
}

function checkSizeIndex(size: number, path: string, rules: ArgRules, problems: Problems): void {
  const most = rules.fields ? 15 : PARAMETERS;
  if (size > most) problems.error(path, `is ${size}, out of bounds: 1 to ${most}`);
}

function compileReturnCopy(
  arg: ProbeArgument,
  path: string,
  rules: ArgRules,
  problems: Problems,
): Pick<ArgDef, "returnCopy"> {
  if (arg.type === "nop") {
    problems.warn(`${path}.returnCopy`, "has no effect with nop, which reads nothing: leave it out");
    return {};
  }
  checkReturnCopy(arg, `${path}.returnCopy`, rules, problems);
  return { returnCopy: true };
}

function checkReturnCopy(arg: ProbeArgument, path: string, rules: ArgRules, problems: Problems): void {
  if (rules.section === "tracepoints") problems.error(path, "does not fit a tracepoint, which has no return");
  else if (rules.section === "lsmhooks")
    problems.error(path, "does not fit an LSM hook, which has no return");
  else if (arg.source) problems.error(path, "fits arguments only, not entries of data");
}
