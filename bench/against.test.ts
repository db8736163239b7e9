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

test("a measure that one of both has not is shown without a ratio, and one that went to 0 with it", () => {
  const figure = { measure: "turn", unit: "ms" };
  expect(compare([{ ...figure, checkout: "this", value: 5 }], "old")).toEqual([
    { ...figure, old: "", this: 5, ratio: "", spread: "" },
  ]);
  const gone = [
    { ...figure, checkout: "old", value: 5 },
    { ...figure, checkout: "this", value: 0 },
  ];
  expect(compare(gone, "old")).toMatchObject([{ ratio: "0.000", spread: "0.000 to 0.000" }]);
});
