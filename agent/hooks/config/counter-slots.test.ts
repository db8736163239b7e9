import { expect, test } from "vitest";
import { counterSlots } from "./counter-slots.ts";

test.each([
  [1, 1],
  [2, 2],
  [3, 4],
  [24, 32],
  [256, 256],
])("%i processors have counters in %i elements", (cpus, slots) => {
  expect(counterSlots(cpus)).toBe(slots);
});
