import { expect, test } from "vitest";
import { goDurationText, parseGoDuration } from "./go-duration.ts";

const cases: Record<string, number | undefined> = {
  "0": 0,
  "0s": 0,
  "90ms": 90,
  "1.5s": 1_500,
  "90s": 90_000,
  "1h30m": 5_400_000,
  "24h": 86_400_000,
  "": undefined,
  "10": undefined,
  "-1h": undefined,
  "1h 30m": undefined,
  "1d": undefined,
  soon: undefined,
};
test.each(Object.entries(cases))("%j is %s milliseconds", (text, ms) => {
  expect(parseGoDuration(text)).toBe(ms);
});

test.each([
  [0, "0s"],
  [90, "90ms"],
  [1_500, "1.5s"],
  [90_000, "1m30s"],
  [3_600_000, "1h0m0s"],
  [5_400_000, "1h30m0s"],
])("%d milliseconds are %s", (ms, text) => {
  expect(goDurationText(ms)).toBe(text);
  expect(parseGoDuration(text)).toBe(ms);
});
