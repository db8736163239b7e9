import { describe, expect, test } from "vitest";
import { DEFAULT_PATIENCE, isStuck, nextChangeMs, parseTolerance, toleratedNodes } from "./patience.ts";

const NOW = 1_000_000;
const agent = (state: "starting" | "unavailable", seconds: number) =>
  ({ state, since: NOW - seconds * 1_000 }) as const;

test.each([
  ["3", 5_000, 3],
  ["0", 5_000, 0],
  ["5%", 5_000, 250],
  ["5%", 3, 1],
  ["0%", 3, 0],
  ["100%", 3, 3],
])("%s of %i nodes are %i nodes", (text, total, want) => {
  const tolerance = parseTolerance(text);
  expect(tolerance && toleratedNodes(tolerance, total)).toBe(want);
});

test.each(["", "-1", "1.5", "101%", "some", "5 %", "9999999"])("%j is no tolerance", (text) => {
  expect(parseTolerance(text)).toBeUndefined();
});

describe("time alone changes", () => {
  test.each([
    ["the end of the restart first", agent("starting", 10), 20_000],
    ["then the start that takes too long", agent("starting", 100), 200_000],
    ["nothing for an agent with a problem", agent("unavailable", 100), undefined],
    ["nothing after that", agent("starting", 400), undefined],
  ])("%s", (_name, health, want) => {
    expect(nextChangeMs(health, NOW, DEFAULT_PATIENCE)).toBe(want);
  });
});

test("only an agent that starts can be stuck", () => {
  expect(isStuck(agent("starting", 300), NOW, DEFAULT_PATIENCE)).toBe(true);
  expect(isStuck(agent("starting", 299), NOW, DEFAULT_PATIENCE)).toBe(false);
  expect(isStuck(agent("unavailable", 999), NOW, DEFAULT_PATIENCE)).toBe(false);
});
