/** Whether paths of members lead to what their arguments want, as far as the recorded kernels tell before a node looks. */
import { type ArgType, isReadable, traitsOf } from "../../crds/argument-types.ts";
import { MemberError, resolveMember } from "../members/field-path.ts";
import { checkMember } from "../members/member-fit.ts";
import { NotRecordedError, RecordedTypes } from "../members/recorded-types.ts";
import type { Problems } from "../problems.ts";
import { reportFaults } from "./kernel-faults.ts";
import { RECORDED_KERNELS } from "./prototypes.gen.ts";

/** An argument whose value is a member. */
interface Reader {
  type: string;
  resolve: string;
}

/**
 * Reports a path that no kernel follows to a value of the type, and warns of one that some do not, or that names a member
 * that they have not: another kernel may have it. `startOf` names the structure that the path starts from, by the
 * kernel's place among the recorded ones; undefined where that is not known.
 */
export function checkMembers(
  { type, resolve }: Reader,
  startOf: (kernel: number) => string | undefined,
  at: string,
  problems: Problems,
): void {
  if (!isReadable(type)) return; // an error already
  const looks = RECORDED_KERNELS.flatMap((_, kernel) => {
    const start = startOf(kernel);
    const found = start === undefined ? "unknown" : lookAt(type, resolve, start, kernel);
    return found === "unknown" ? [] : [{ kernels: 1 << kernel, error: found }];
  });
  const faults = looks.flatMap(({ kernels, error }) => (error ? [{ kernels, error }] : []));
  const isCertain = faults.length === looks.length && faults.every(({ error }) => error.fault !== "missing");
  for (const [message, same] of Map.groupBy(faults, ({ error }) => error.message)) {
    const isType = same.some(({ error }) => error.fault === "type");
    const fault = isType
      ? { path: `${at}.type`, message: `${resolve}: ${message}` }
      : { path: `${at}.resolve`, message };
    reportFaults(same, isCertain, fault, problems);
  }
}

function lookAt(
  type: ArgType,
  resolve: string,
  start: string,
  kernel: number,
): MemberError | "unknown" | undefined {
  const types = typesOf(kernel);
  const id = types.structId(start);
  if (id === undefined) return "unknown";
  try {
    const member = resolveMember(types, id, resolve);
    if (traitsOf(type).family !== "placeholder") checkMember({ type }, member);
    return undefined;
  } catch (error) {
    if (error instanceof NotRecordedError) return "unknown";
    if (error instanceof MemberError) return error;
    throw error;
  }
}

const read: RecordedTypes[] = [];

function typesOf(kernel: number): RecordedTypes {
  read[kernel] ??= new RecordedTypes(kernel);
  return read[kernel];
}
