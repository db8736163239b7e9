import { expect, test } from "vitest";
import { makeSpecObject, makeWanted } from "../testing/data.ts";
import { specGeneration } from "./config-map.ts";

test("a ConfigMap whose content is damaged has no spec, and a problem that says why", () => {
  const object = makeSpecObject(makeWanted(1, "sys_setuid"), 1, (configMap) => {
    configMap.data = { "hook-spec.json": "{" };
  });
  expect(object.spec).toBeUndefined();
  expect(object.problem).toMatch(/^ConfigMap trigon-spec-\w{40} holds no hook spec: is not JSON/);
});

test("a generation that is no number is not known", () => {
  const object = makeSpecObject(
    makeWanted(1, "a"),
    1,
    ({ metadata }) => (metadata.annotations["trigon.dev/policy-generation"] = "x"),
  );
  expect(specGeneration(object)).toBeUndefined();
  expect(specGeneration(makeSpecObject(makeWanted(4, "a"), 1))).toBe(4);
});
