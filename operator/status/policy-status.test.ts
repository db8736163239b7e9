import { expectTypeOf, test } from "vitest";
import type { StatusObject } from "../../crds/tracingpolicy-v1alpha1.gen.ts";
import type { PolicyStatus } from "./policy-status.ts";

test("what the operator writes has the types of the schema", () => {
  expectTypeOf<PolicyStatus>().toExtend<StatusObject>();
});
