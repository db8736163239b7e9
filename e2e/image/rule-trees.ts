/** Puts the syntax trees of the definitions' rules into joined programs, so that they need not parse them. */
import type { Plugin } from "rolldown";
import { treeOf } from "../../policy/schema/rule-trees.ts";
import { prepareRules } from "../../policy/schema/rules.ts";
import { replaceModule } from "./replace-module.ts";

/** Replaces policy/schema/rule-trees.ts of a checkout. */
export function readyRuleTrees(checkout: string): Plugin {
  return replaceModule(checkout, "policy/schema/rule-trees.ts", treesText);
}

/** A module of JavaScript with the `treeOf` of policy/schema/rule-trees.ts. */
function treesText(): string {
  const trees = [...new Set(prepareRules())].map((rule) => [rule, treeOf(rule)]);
  return `
    const TREES = new Map(${literal(trees)});
    export function treeOf(rule) {
      return TREES.get(rule);
    }
  `;
}

/** Plain data as JavaScript: ids in trees are bigints, which JSON lacks. */
function literal(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) return `[${value.map(literal).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}:${literal(member)}`);
  return `{${members.join()}}`;
}
