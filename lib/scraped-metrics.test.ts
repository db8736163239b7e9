import { Gauge, Registry } from "prom-client";
import { describe, expect, test } from "vitest";
import {
  oncePerScrape,
  type Sample,
  scrapedCounter,
  scrapedGauge,
  scrapedGauges,
} from "./scraped-metrics.ts";
import { metricsText } from "./testing/metrics.ts";

test("values are read at each scrape, and stand beside those of prom-client", async () => {
  const registry = new Registry();
  let count = 1;
  new Gauge({ name: "a", help: "A.", registers: [registry] }).set(3);
  scrapedCounter(registry, "b_total", "B.", () => [[{ x: "1" }, count, { y: "2" }]]);
  scrapedGauge(registry, "c", "C.", () => count);
  const expected = (value: number) => `# HELP a A.
# TYPE a gauge
a 3
# HELP b_total B.
# TYPE b_total counter
b_total{x="1",y="2"} ${value}
# HELP c C.
# TYPE c gauge
c ${value}
`;
  expect(await metricsText(registry)).toBe(expected(1));
  count = 2;
  expect(await metricsText(registry)).toBe(expected(2));
});

test("prom-client renders the same lines", async () => {
  const registry = new Registry();
  const labels = { binary: 'a"b\\c\nd', other: "" };
  scrapedCounter(registry, "b_total", "B\\ and\nmore.", () => [
    [labels, 1],
    [{ other: "é" }, 1.5],
    [{}, Number.POSITIVE_INFINITY],
  ]);
  const lines = (text: string) => text.split("\n").filter((line) => line !== "");
  expect(lines(await metricsText(registry))).toEqual(lines(await registry.metrics()));
});

test("a value that costs much is read once per scrape", async () => {
  const registry = new Registry();
  let reads = 0;
  const read = oncePerScrape(() => ++reads);
  for (const name of ["a", "b", "c"]) scrapedGauge(registry, name, "It.", read);
  expect(await metricsText(registry)).toContain("c 1\n");
  expect(await metricsText(registry)).toContain("c 2\n");
});

test("a large metric gives way to other work while it is rendered", async () => {
  const registry = new Registry();
  scrapedGauges(registry, "large", "It.", () =>
    Array.from({ length: 100_000 }, (_, index) => [{ index: String(index) }, index] as const),
  );
  let turns = 0;
  const count = () => {
    turns++;
    timer = setImmediate(count);
  };
  let timer = setImmediate(count);
  await metricsText(registry);
  clearImmediate(timer);
  expect(turns).toBeGreaterThan(5);
});

describe("what is kept of the last scrape is not shown where", () => {
  const one = { x: "1" };
  const other = { x: "2" };
  const foreign = { x: "é€" };
  const cases: Record<string, [before: Sample[], after: Sample[]]> = {
    "a value changes": [[[one, 1]], [[one, 2]]],
    "a value changes its length": [[[one, 9]], [[one, 10]]],
    "a value becomes as long as its line and the next one": [
      [
        [one, 1],
        [other, 2],
      ],
      [
        [one, 123_456_789_012],
        [other, 2],
      ],
    ],
    "a value behind text that is not ASCII changes": [[[foreign, 1]], [[foreign, 2]]],
    "labels change": [[[one, 1]], [[other, 1]]],
    "the second part of labels changes": [[[one, 1, { y: "1" }]], [[one, 1, { y: "2" }]]],
    "samples leave": [
      [
        [one, 1],
        [other, 2],
      ],
      [[one, 1]],
    ],
    "all samples leave": [[[one, 1]], []],
    "samples come in front": [
      [[other, 2]],
      [
        [one, 1],
        [other, 2],
      ],
    ],
    "many samples become a few": [
      Array.from({ length: 200 }, (_, i): Sample => [{ x: `${i}` }, i]),
      Array.from({ length: 65 }, (_, i): Sample => [{ x: `${i + 1}` }, i]),
    ],
  };
  test.each(Object.entries(cases))("%s", async (_, [before, after]) => {
    const [registry, fresh] = [new Registry(), new Registry()];
    let samples = before;
    scrapedGauges(registry, "a", "A.", () => samples);
    scrapedGauges(fresh, "a", "A.", () => after);
    await metricsText(registry);
    samples = after;
    expect(await metricsText(registry)).toBe(await metricsText(fresh));
  });
});

test("scrapes at the same time have whole answers", async () => {
  const registry = new Registry();
  const samples = Array.from({ length: 20_000 }, (_, index): Sample => [{ index: `${index}` }, index]);
  scrapedGauges(registry, "large", "It.", () => samples);
  const [first, second] = await Promise.all([metricsText(registry), metricsText(registry)]);
  expect(first.split("\n")).toHaveLength(20_003);
  expect(second).toBe(first);
});

test("a scrape that fails spoils no other", async () => {
  const registry = new Registry();
  let isBroken = true;
  scrapedGauges(registry, "a", "A.", function* () {
    yield [{ x: "1" }, 1];
    if (isBroken) throw new Error("no counters");
  });
  await expect(metricsText(registry)).rejects.toThrow("no counters");
  isBroken = false;
  expect(await metricsText(registry)).toContain('a{x="1"} 1\n');
});
