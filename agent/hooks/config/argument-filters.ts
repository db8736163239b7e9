/** Encodes filters on a hook's arguments as struct filter_config. Pure. */
import type { FileType, FilterDef, HookDef, TextComparison } from "../../../crds/hook-spec.ts";
import { HookError } from "../hook-error.ts";
import {
  bits,
  compareNumber,
  compareStrings,
  compareTexts,
  type FilterConfig,
  mask,
  type Tables,
} from "./comparisons.ts";
import { ENUMERATORS as E, MAX_EXPRESSION_STEPS } from "./layout.ts";
import { isBuffer, isNumber, isPath, isText, type ValueType, valueType } from "./value-types.ts";

/** S_IFMT of a mode, shifted down. */
const FILE_TYPES: Record<FileType, number> = {
  fifo: 0o01,
  character: 0o02,
  directory: 0o04,
  block: 0o06,
  regular: 0o10,
  symlink: 0o12,
  socket: 0o14,
};

/** Encodes a filter on one argument; throws a HookError if the argument's type cannot be compared in that way. */
export function describeArgument(
  filter: Exclude<Extract<FilterDef, { match: "arg" }>, { compare: "gained" }>,
  def: HookDef,
  tables: Tables,
): FilterConfig {
  const { arg: index, negate } = filter;
  switch (filter.compare) {
    case "text": {
      const type = typeOfArgument(def, index);
      if (!isText(type)) throw unfit(def, index, "string");
      const { how: compare } = filter;
      const values = filter.values.map(withoutZeros(type, compare));
      const encode = isBuffer(type) ? compareTexts : compareStrings;
      return { operand: E.OPERAND_TEXT, index, negate, ...encode({ compare, values }, tables) };
    }
    case "fileType": {
      if (!isPath(typeOfArgument(def, index))) throw unfit(def, index, "file type");
      const kinds = bits(filter.types.map((type) => FILE_TYPES[type]));
      return { operand: E.OPERAND_FILE_TYPE, index, negate, ...mask(BigInt(kinds), tables) };
    }
    default:
      return {
        operand: E.OPERAND_ARG,
        index,
        negate,
        ...compareNumber(filter, checkNumber(def, index), tables),
      };
  }
}

/** Encodes a filter on the capabilities that one set has and another lacks. */
export function describeGained(
  filter: Extract<FilterDef, { compare: "gained" }>,
  def: HookDef,
): FilterConfig {
  for (const position of [filter.arg, filter.newArg]) checkNumber(def, position);
  const { arg: index, newArg: first } = filter;
  return { operand: E.OPERAND_GAINED, index, compare: E.COMPARE_MASKS, negate: false, first, count: 0 };
}

/** Encodes a filter that computes with several arguments. */
export function describeExpression(
  { steps }: Extract<FilterDef, { match: "expression" }>,
  def: HookDef,
  { expressions }: Tables,
): FilterConfig {
  for (const step of steps) if (step.op === "arg") checkNumber(def, step.arg);
  const first = expressions.length;
  expressions.push(...steps);
  if (expressions.length > MAX_EXPRESSION_STEPS) {
    throw new HookError(
      "InvalidArgument",
      `the hook's expressions have ${expressions.length} steps, at most ${MAX_EXPRESSION_STEPS} are possible`,
    );
  }
  const place = { first, count: steps.length };
  return { operand: E.OPERAND_EXPRESSION, index: 0, compare: E.COMPARE_RANGES, negate: false, ...place };
}

/** Returns whether the argument is signed; throws unless the BPF programs can compare it as a number. */
function checkNumber(def: HookDef, position: number): boolean {
  const type = typeOfArgument(def, position);
  if (!isNumber(type)) throw unfit(def, position, "number");
  return type.signed;
}

function typeOfArgument(def: HookDef, position: number): ValueType {
  const arg = def.args[position];
  if (arg) return valueType(arg);
  throw new HookError("InvalidArgument", `a filter names argument ${position} of ${def.args.length}`);
}

function unfit(def: HookDef, position: number, what: string): HookError {
  const type = def.args[position]?.type;
  return new HookError("InvalidArgument", `an argument of type ${type} has no ${what} to compare`);
}

/** Tetragon's policies may write the NUL that ends a string. Zeros at the end of a whole buffer are not compared. */
function withoutZeros(type: ValueType, how: TextComparison): (value: string) => string {
  if (!isBuffer(type)) return (value) => value.replace(/\0$/, "");
  return how === "equal" ? (value) => value.replace(/\0+$/, "") : (value) => value;
}
