/** Whether paths of members lead to what their arguments want, as far as the recorded kernels tell before a node looks. */
import { type ArgType, isReadable, traitsOf } from "../../crds/argument-types.ts";
import { MemberError, resolveMember } from "../members/field-path.ts";
import { checkMember } from "../members/member-fit.ts";
import { NotRecordedError, RecordedTypes } from "../members/recorded-types.ts";
import type { Problems } from "../problems.ts";
import { RECORDED_KERNELS } from "./prototypes.gen.ts";
import { inKernels } from "./prototypes.ts";

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
    return found === "unknown" ? [] : [{ kernel, fault: found }];
  });
  const faults = looks.flatMap(({ kernel, fault }) => (fault ? [{ kernel, fault }] : []));
  const isCertain = faults.length === looks.length && faults.every(({ fault }) => fault.fault !== "missing");
  for (const [message, same] of Map.groupBy(faults, ({ fault }) => fault.message)) {
    const isType = same.some(({ fault }) => fault.fault === "type");
    const field = isType ? `${at}.type` : `${at}.resolve`;
    const text = isType ? `${resolve}: ${message}` : message;
    const kernels = same.reduce((bits, { kernel }) => bits | (1 << kernel), 0);
    if (isCertain) problems.error(field, text);
    else problems.warn(field, `${inKernels(kernels)}: ${text}`);
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
