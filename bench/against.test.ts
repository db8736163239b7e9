import { expect, test } from "vitest";
import { compare } from "./against.ts";

test("each round of a checkout is compared with the other's", () => {
  const values = { old: [100, 200, 400], this: [50, 120, 180] };
  const figures = Object.entries(values).flatMap(([checkout, all]) =>
    all.map((value) => ({ checkout, measure: "memory", value, unit: "MiB" })),
  );
  expect(compare(figures, "old")).toEqual([
    { measure: "memory", unit: "MiB", old: 200, this: 120, ratio: "0.500", spread: "0.450 to 0.600" },
  ]);
});
