import { expect, test } from "vitest";
import { ENUMERATORS } from "./layout.ts";
import {
  CAPABILITY_SETS_IN_ORDER,
  capabilitySet,
  NAMESPACES_IN_ORDER,
  namespaceKind,
} from "./linux-enumerators.ts";

test("struct process_state has room for exactly the namespaces of policies", () => {
  const numbers = Array.from({ length: ENUMERATORS.NAMESPACE_KINDS }, (_, number) => number);
  expect(NAMESPACES_IN_ORDER.map(namespaceKind)).toEqual(numbers);
});

test("struct process_state has room for exactly the capability sets of policies", () => {
  const numbers = Array.from({ length: ENUMERATORS.CAPABILITY_SET_COUNT }, (_, number) => number);
  expect(CAPABILITY_SETS_IN_ORDER.map(capabilitySet)).toEqual(numbers);
});
