/** Modes of files that are written as people say them, but without the 0 that makes a number octal. */
import type { ArgDef } from "../../crds/hook-spec.ts";
import { type Call, parametersOfCall } from "../probes/calls.ts";
import { child, type Problems } from "../problems.ts";

/** Digits that are another number in octal: 4000, 755. */
const LOOKS_OCTAL = /^[1-7][0-7]{2,4}$/;

/** Warns of such values of a filter on a parameter that is a mode. */
export function warnOfDecimalModes(
  values: readonly string[],
  { index }: ArgDef,
  calls: readonly Call[],
  path: string,
  problems: Problems,
): void {
  if (!calls.some((call) => parametersOfCall(call)?.[index]?.startsWith("umode_t "))) return;
  for (const [position, value] of values.entries()) {
    if (!LOOKS_OCTAL.test(value)) continue;
    const mode = `0${Number(value).toString(8)}`;
    const message = `${value} is decimal, the mode ${mode}: write 0${value} if that mode is meant, else ${mode}`;
    problems.warn(child(path, position), message);
  }
}
