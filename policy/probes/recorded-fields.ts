/** Whether fields of trace events can be read as their arguments' types, as far as the recorded kernels tell. */
import { misfitOfField } from "../../crds/argument-fit.ts";
import { isReadable } from "../../crds/argument-types.ts";
import type { ArgDef } from "../../crds/hook-spec.ts";
import { child, type Problems } from "../problems.ts";
import type { TracepointProbe } from "../types.ts";
import { declaredType } from "./fit.ts";
import { reportFaults } from "./kernel-faults.ts";
import type { EventFields } from "./prototype.ts";
import { EVENT_FIELDS } from "./prototypes.gen.ts";

/** Fields that every event begins with, such as common_pid; no program can read them. */
export const COMMON_FIELDS = 4;

/** Reports arguments that no kernel has or reads so, and warns of those that some do not. */
export function checkRecordedFields(
  args: readonly ArgDef[],
  { subsystem, event }: TracepointProbe,
  path: string,
  problems: Problems,
): void {
  const name = `${subsystem}/${event}`;
  const rows = Object.hasOwn(EVENT_FIELDS, name) ? (EVENT_FIELDS[name] ?? []) : [];
  for (const [position, arg] of args.entries()) {
    if (arg.index < COMMON_FIELDS || !isReadable(arg.type)) continue; // an error already, or nothing is read
    const faults = rows.flatMap((row) => {
      const fault = faultOf(arg, subsystem, name, row);
      return fault ? [{ ...fault, kernels: row[0] }] : [];
    });
    const newest = faults.at(-1);
    if (!newest) continue;
    const fault = { path: `${child(path, position)}.${newest.field}`, message: newest.message };
    reportFaults(faults, faults.length === rows.length, fault, problems);
  }
}

function faultOf(
  { index, type }: ArgDef,
  subsystem: string,
  name: string,
  [, fields, shapes]: EventFields,
): { field: "index" | "type"; message: string } | undefined {
  const place = index - COMMON_FIELDS;
  const field = fields[place];
  if (field === undefined) {
    const list = fields.map((known, number) => `${number + COMMON_FIELDS} ${/\w+$/.exec(known)?.[0]}`);
    return { field: "index", message: `is ${index}, beyond the fields of ${name}: ${list.join(", ")}` };
  }
  const shape = shapes[place] ?? "";
  const declared = { type: declaredType(field), size: Number(shape) || 0, isInside: shape === "i" };
  const advice = misfitOfField(type, declared, subsystem);
  if (advice === undefined) return undefined;
  const what = `${type} does not fit field ${index} of ${name}, ${field}`;
  return { field: "type", message: advice === "" ? what : `${what}: ${advice}` };
}
