/** The chart's schema knows the flags of both programs: a typing error would end the agent of every node. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { OPTIONS as AGENT } from "../agent/options.ts";
import { OPTIONS as OPERATOR } from "../operator/config.ts";

const CHART = join(import.meta.dirname, "../manifests/chart");
const schema = JSON.parse(readFileSync(join(CHART, "values.schema.json"), "utf8")) as {
  $defs: Record<string, { properties?: object }>;
};

/** Flags that the template sets by other values. */
function setBy(template: string): (string | undefined)[] {
  const text = readFileSync(join(CHART, "templates", template), "utf8");
  return [...text.matchAll(/^ +- --([a-z-]+)/gm)].map(([, name]) => name);
}

test.each([
  ["agentSettings", AGENT, "agent-daemonset.yaml"],
  ["operatorSettings", OPERATOR, "operator-deployment.yaml"],
] as const)("values.schema.json has in %s every flag that no other value sets", (name, options, template) => {
  const taken = setBy(template);
  expect(taken).toContain("metrics-server");
  const others = Object.keys(options).filter((flag) => ![...taken, "help", "version"].includes(flag));
  expect(Object.keys(schema.$defs[name]?.properties ?? {}).toSorted()).toEqual(others.toSorted());
});
