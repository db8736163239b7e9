import { expect, test } from "vitest";
import { ActivityMeter, type EventCount } from "./activity.ts";

const of = (namespace: string, binary: string, count: number): EventCount => ({
  policy: "p",
  namespace,
  binary,
  count,
});

test("a rate is what came since the last measurement, and the noisiest are those of that time", () => {
  const meter = new ActivityMeter();
  meter.measure([of("old", "/old", 500), of("shop", "/su", 10)]);
  meter.measure([of("old", "/old", 500), of("shop", "/su", 40), of("blog", "/su", 7), of("", "/sudo", 6)]);
  expect(meter.rateOf("p")).toEqual({
    perMinute: 40,
    namespaces: ["shop", "blog"],
    binaries: ["/su", "/sudo"],
  });
});

test.each([
  [0, 0],
  [7, 7],
  [14, 10],
  [96, 100],
  [1499, 1000],
])("%i events a minute are shown as %i", (count, shown) => {
  const meter = new ActivityMeter();
  meter.measure([of("a", "/a", count)]);
  expect(meter.rateOf("p").perMinute).toBe(shown);
});

test("a policy that has counted nothing is quiet, also after counts that were dropped", () => {
  const meter = new ActivityMeter();
  meter.measure([of("a", "/a", 5)]);
  meter.measure([of("a", "/a", 3)]);
  const quiet = { perMinute: 0, namespaces: [], binaries: [] };
  expect([meter.rateOf("p"), meter.rateOf("other")]).toEqual([quiet, quiet]);
});
