/** The operator CelExpr: conditions on several arguments at once. */
import type { ArgDef, ExpressionStep, FilterDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { compileExpression, depthOf } from "../expressions/compile.ts";
import { onlyOutcome } from "../expressions/outcome.ts";
import { ExpressionError } from "../expressions/syntax.ts";
import { child, type Problems } from "../problems.ts";
import type { ArgumentMatch } from "../types.ts";
import type { Window } from "./positions.ts";
import type { SelectorScope } from "./scope.ts";

/** True if any of the values holds; undefined when an error was reported. */
export function expressionFilter(
  { values = [] }: ArgumentMatch,
  path: string,
  window: Window,
  scope: SelectorScope,
  problems: Problems,
): FilterDef | undefined {
  if (window.isData) {
    problems.error(`${path}.operator`, "CelExpr knows arguments only: write it into matchArgs");
    return undefined;
  }
  if (values.length === 0) {
    problems.error(`${path}.values`, 'is empty: CelExpr needs an expression, such as "arg0 != arg1"');
    return undefined;
  }
  const args = scope.args.slice(0, window.count);
  const compiled = values.map((text, index) => {
    try {
      const steps = compileExpression(text, args);
      if (!namesArgument(steps))
        problems.warn(child(`${path}.values`, index), "names no argument: it is the same for every call");
      return steps;
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      problems.error(child(`${path}.values`, index), error.message);
      return undefined;
    }
  });
  const known = compiled.filter((steps) => steps !== undefined);
  if (known.length < compiled.length) return undefined;
  const steps = known.flatMap((one, n): ExpressionStep[] => (n === 0 ? one : [...one, { op: "or" }]));
  if (!isWithinLimits(steps, `${path}.values`, problems)) return undefined;
  warnOfOnlyOutcomes(known, steps, args, `${path}.values`, problems);
  return { match: "expression", steps };
}

const namesArgument = (steps: readonly ExpressionStep[]) => steps.some(({ op }) => op === "arg");

/** After the limits: what is tried takes time for each step. */
function warnOfOnlyOutcomes(
  expressions: readonly ExpressionStep[][],
  joined: readonly ExpressionStep[],
  args: readonly ArgDef[],
  path: string,
  problems: Problems,
): void {
  const outcomes = expressions.map((steps) => onlyOutcome(steps, args));
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome !== undefined && namesArgument(expressions[index] ?? []))
      problems.warn(child(path, index), `is ${outcome} whatever the arguments are`);
  }
  const differ = outcomes.length > 1 && outcomes.every((outcome) => outcome === undefined);
  if (differ && onlyOutcome(joined, args))
    problems.warn(path, "match whatever the arguments are: one of them is always true");
}

function isWithinLimits(steps: ExpressionStep[], path: string, problems: Problems): boolean {
  const { expressionSteps, expressionDepth } = HOOK_SPEC_LIMITS;
  if (steps.length > expressionSteps) {
    problems.error(path, `take ${steps.length} steps to evaluate: at most ${expressionSteps} are possible`);
  } else if (depthOf(steps) > expressionDepth) {
    problems.error(path, `nest too deep: at most ${expressionDepth} values can wait for one another`);
  } else return true;
  return false;
}
