import { expect, test } from "vitest";
import { addedTo, differences } from "./instructions.ts";

test("what is added is the median above that without a probe", () => {
  const samples = [100, 90, 110].flatMap((base, round) => [
    { layer: "setuid", case: "no probe", instructions: base },
    { layer: "setuid", case: "emitted", instructions: 600 + round },
  ]);
  expect(addedTo(samples)).toEqual({ "setuid: emitted": 501 });
});

const cases: Record<string, { now: number; want: string[] }> = {
  "less than three percent more": { now: 1029, want: [] },
  "more than three percent more": { now: 1031, want: ["emitted: 1000 instructions, now 1031"] },
  "cheaper, which the table should show": { now: 900, want: ["emitted: 1000 instructions, now 900"] },
};
test.each(Object.entries(cases))("differences: %s", (_name, { now, want }) => {
  expect(differences({ emitted: now }, { emitted: 1000 })).toEqual(want);
});

test("differences: of few instructions, ten are none", () => {
  expect(differences({ rejected: 109 }, { rejected: 100 })).toEqual([]);
  expect(differences({ rejected: 111 }, { rejected: 100 })).toHaveLength(1);
});

test("differences: what the table lacks, and what is not counted any more", () => {
  expect(differences({ new: 1 }, { old: 2 })).toEqual([
    "old: 2, now not counted",
    "new: not in the table, now 1",
  ]);
});
