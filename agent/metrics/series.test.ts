import { describe, expect, test } from "vitest";
import type { Image } from "../process/image.ts";
import { type ProcessLabels, SeriesCounter } from "./series.ts";

/** The part of an image that is counted. */
function makeImage(pod: string, binary: string, workload = "job", namespace = "shop"): Image {
  return { pod: { namespace, name: pod, workload }, facts: { binary } } as unknown as Image;
}

const labelsOf = (series: SeriesCounter): ProcessLabels[] =>
  [...series.entries()].map(({ labels }) => labels);
const total = (series: SeriesCounter): number =>
  [...series.entries()].reduce((sum, { count }) => sum + count, 0);

describe("series", () => {
  test("count each event once, by pod and binary", () => {
    const series = new SeriesCounter();
    const [a, b] = [makeImage("a", "/bin/x"), makeImage("b", "/bin/x")];
    for (const image of [a, a, b, a]) series.add(image);
    expect([...series.entries()].map(({ labels, count }) => [labels.pod, count])).toEqual([
      ["a", 3],
      ["b", 1],
    ]);
  });

  test("of pods that are gone leave, and their events stay counted", () => {
    const series = new SeriesCounter();
    for (let i = 0; i < 5000; i++) series.add(makeImage(`job-${i}`, "/usr/bin/work"));
    series.add(makeImage("now", "/usr/bin/su"));
    const labels = labelsOf(series);
    expect(labels.some(({ pod }) => pod === "now")).toBe(true);
    expect(labels.some(({ pod }) => pod === "job-0")).toBe(false);
    expect(labels.length).toBeLessThanOrEqual(1001);
    expect(total(series)).toBe(5001);
    expect(
      [...series.entries()].find(({ labels: { pod, workload } }) => pod === "" && workload === "job"),
    ).toBeDefined();
  });

  test("of a pod that execs a thousand names cost no other pod its label", () => {
    const series = new SeriesCounter();
    const quiet = makeImage("quiet", "/usr/bin/su");
    series.add(quiet);
    for (let i = 0; i < 5000; i++) series.add(makeImage("loud", `/tmp/name-${i}`));
    series.add(makeImage("late", "/usr/bin/su"));
    const labels = labelsOf(series);
    for (const pod of ["quiet", "late"]) expect(labels.some((each) => each.pod === pod)).toBe(true);
    expect(labels.filter(({ pod }) => pod === "loud")).toHaveLength(201);
    expect(total(series)).toBe(5002);
  });

  test("of a pod that goes on being counted stay", () => {
    const series = new SeriesCounter();
    const busy = makeImage("busy", "/usr/bin/su");
    for (let i = 0; i < 5000; i++) {
      series.add(makeImage(`job-${i}`, "/usr/bin/work"));
      series.add(busy);
    }
    expect([...series.entries()].find(({ labels }) => labels.pod === "busy")?.count).toBe(5000);
  });

  test("of as many workloads are counted by namespace in the end", () => {
    const series = new SeriesCounter();
    for (let i = 0; i < 5000; i++) series.add(makeImage(`pod-${i}`, "/usr/bin/work", `workload-${i}`));
    expect(labelsOf(series).length).toBeLessThanOrEqual(1001);
    expect(total(series)).toBe(5000);
  });

  test("have the labels that are asked for only", () => {
    const series = new SeriesCounter(["namespace", "workload"]);
    for (const pod of ["a", "b"]) series.add(makeImage(pod, "/usr/bin/su"));
    expect([...series.entries()].map(({ labels, count }) => [labels, count])).toEqual([
      [{ namespace: "shop", workload: "job", pod: "", binary: "" }, 2],
    ]);
  });
});
