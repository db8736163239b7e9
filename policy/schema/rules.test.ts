import { expect, test } from "vitest";
import { POLICY_SCHEMAS } from "./json-schema.ts";
import { prepareRules } from "./rules.ts";

test("every rule of the definitions can be made ready before a policy needs it", () => {
  const written = [...JSON.stringify(POLICY_SCHEMAS).matchAll(/"rule":("(?:[^"\\]|\\.)*")/g)];
  const rules = written.map(([, text = ""]) => JSON.parse(text) as string);
  expect(rules.length).toBeGreaterThan(10);
  expect(new Set(prepareRules())).toEqual(new Set(rules));
});
