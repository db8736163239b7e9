/** Values that a hook reads: args and data. */
import { isDeepStrictEqual } from "node:util";
import { type ArgType, isReadable, traitsOf } from "../../crds/argument-types.ts";
import type { ArgDef, HookSection } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { child, type Problems } from "../problems.ts";
import { quote } from "../suggest.ts";
import type { ProbeArgument } from "../types.ts";
import { compileBuffer } from "./buffers.ts";
import type { ArgRules, ProbeContext } from "./context.ts";
import { compileMembers } from "./members.ts";

const SOURCES = ["current_task", "pt_regs"] as const;

interface Values {
  args?: ProbeArgument[];
  data?: ProbeArgument[];
  syscall?: boolean;
}

/** args and data of a probe; entries that are wrong keep their position so that filters still find their own. */
export function compileArgs(
  probe: Values,
  { section, path, problems }: Pick<ProbeContext, "section" | "path" | "problems">,
  raw = true,
): ArgDef[] {
  const { args = [], data = [] } = probe;
  const isFunction = section === "kprobes" || section === "fentries";
  const rules = { section, syscall: isFunction && (probe.syscall ?? true), fields: !raw };
  checkCount(args.length, data.length, path, problems);
  checkLongBuffers(args, `${path}.args`, problems);
  warnOfDoubles(args, `${path}.args`, problems);
  warnOfDoubles(data, `${path}.data`, problems);
  return [
    ...args.map((arg, index) => compileArg(arg, child(`${path}.args`, index), rules, problems)),
    ...data.map((arg, index) => compileData(arg, child(`${path}.data`, index), rules, problems)),
  ];
}

/** Why hooks cannot read a type. */
export function unreadable(type: string): string {
  const right =
    type === "data_loc" ? "write string, which reads such fields too" : "Trigon watches credentials";
  return `the argument type ${type} is not supported: ${right}`;
}

/** Reports a label that is longer than events carry. */
export function checkLabel(label: string | undefined, path: string, problems: Problems): void {
  const most = HOOK_SPEC_LIMITS.labelLength;
  if (label !== undefined && [...label].length > most)
    problems.error(path, `is longer than ${most} characters`);
}

function checkCount(args: number, data: number, path: string, problems: Problems): void {
  if (args + data <= HOOK_SPEC_LIMITS.args) return;
  const more = data > 0 ? ` and ${data} data` : "";
  problems.error(
    args > 0 ? `${path}.args` : `${path}.data`,
    `has ${args} entries${more}: at most ${HOOK_SPEC_LIMITS.args} can be read`,
  );
}

/** A record has room for one of them. */
function checkLongBuffers(args: ProbeArgument[], path: string, problems: Problems): void {
  const long = [...args.keys()].filter((position) => args[position]?.maxData);
  for (const position of long.slice(1)) {
    problems.error(
      `${child(path, position)}.maxData`,
      `stands at ${child("args", long[0] ?? 0)} already: one argument can have it`,
    );
  }
}

/** A parameter may be read several times, as different types; the same twice only costs. */
function warnOfDoubles(args: ProbeArgument[], path: string, problems: Problems): void {
  for (const [position, arg] of args.entries()) {
    const earlier = args.findIndex((other) => isDeepStrictEqual(other, arg));
    const list = path.slice(path.lastIndexOf(".") + 1);
    if (earlier < position) problems.warn(child(path, position), `is the same as ${list}[${earlier}]`);
  }
}

function compileArg(arg: ProbeArgument, path: string, rules: ArgRules, problems: Problems): ArgDef {
  const most = rules.fields ? HOOK_SPEC_LIMITS.fieldIndex : HOOK_SPEC_LIMITS.argIndex;
  if (arg.index > most) problems.error(`${path}.index`, `is ${arg.index}, out of bounds: 0 to ${most}`);
  if (arg.source) problems.error(`${path}.source`, "belongs to entries of data: an argument has no source");
  return { index: arg.index, ...compileValue(arg, path, rules, problems) };
}

/** An entry of data starts at its source; its index has no meaning. */
function compileData(arg: ProbeArgument, path: string, rules: ArgRules, problems: Problems): ArgDef {
  const source = SOURCES.find((known) => known === arg.source);
  if (!source) {
    const found = arg.source
      ? `${quote(arg.source)} is not a source`
      : "is missing: an entry of data needs it";
    problems.error(`${path}.source`, `${found}: must be ${SOURCES.join(" or ")}`);
  }
  if (source === "pt_regs" && rules.section === "fentries" && !rules.syscall) {
    const right = "write the function into kprobes, or name a system call";
    problems.error(`${path}.source`, `pt_regs does not fit fentries, which have no registers: ${right}`);
  }
  if (!arg.resolve) {
    const example = source === "pt_regs" ? "sp" : "cred.uid.val";
    problems.error(`${path}.resolve`, `is missing: an entry of data needs it, for example ${example}`);
  }
  return {
    index: 0,
    ...(source ? { source } : {}),
    ...compileValue(arg, path, { ...rules, syscall: false }, problems),
  };
}

function compileValue(
  arg: ProbeArgument,
  path: string,
  rules: ArgRules,
  problems: Problems,
): Omit<ArgDef, "index" | "source"> {
  checkType(arg.type, `${path}.type`, rules.section, problems);
  checkLabel(arg.label, `${path}.label`, problems);
  return {
    type: arg.type as ArgType,
    ...(arg.label ? { label: arg.label } : {}),
    ...compileMembers(arg, path, rules, problems),
    ...compileBuffer(arg, path, rules, problems),
  };
}

function checkType(type: string, path: string, section: HookSection, problems: Problems): void {
  const reason = isReadable(type) ? misplaced(type, section) : unreadable(type);
  if (reason !== undefined) problems.error(path, reason);
}

function misplaced(type: ArgType, section: HookSection): string | undefined {
  const { only = section } = traitsOf(type);
  if (only === section) return undefined;
  if (type !== "auto") return `${type} fits ${only} only`;
  const what = section === "lsmhooks" ? "an LSM hook" : "a kernel function";
  return `auto does not fit ${what}: name the type, for example int`;
}
