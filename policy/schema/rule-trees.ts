/**
 * The definitions' rules as syntax trees. Joined programs have the trees as text instead (e2e/image/rule-trees.ts): the
 * first rule takes the parser a tenth of a second on an emulated processor.
 */
import { parse } from "@bufbuild/cel";

/** The syntax tree of a rule. */
export function treeOf(rule: string): ReturnType<typeof parse> {
  return parse(rule);
}
