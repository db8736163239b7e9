import { expect, test } from "vitest";
import type { Page } from "../../lib/kube.ts";
import { ClusterSize } from "./cluster-size.ts";

let now = 0;

function sizeOf(...pages: (Omit<Page<unknown>, "resourceVersion"> | Error)[]): ClusterSize {
  now = 0;
  const listPage = async () => {
    const page = pages.shift();
    if (page === undefined || page instanceof Error) throw page ?? new Error("one request too many");
    return { resourceVersion: "1", ...page } as never;
  };
  return new ClusterSize({ client: { listPage }, now: () => now });
}
const among = (nodes: number) => ({ items: [{}], continue: "more", remaining: nodes - 1 });

test.each([
  ["none", { items: [] }, 0],
  ["one", { items: [{}] }, 1 / 5_000],
  ["500", among(500), 0.1],
  ["5,000", among(5_000), 1],
  ["15,000", among(15_000), 1],
])("%s", async (_name, page, share) => {
  expect(await sizeOf(page).share()).toBe(share);
});

test("is asked for once by all who want to know at the same time, and once an hour", async () => {
  const size = sizeOf(among(500), among(1_000));
  expect(await Promise.all([size.share(), size.share()])).toEqual([0.1, 0.1]);
  now += 3_599_999;
  expect(await size.share()).toBe(0.1);
  now += 1;
  expect(await size.share()).toBe(0.2);
});

test("a cluster that cannot be counted is a large one, until it can", async () => {
  const size = sizeOf(new Error("403 Forbidden"), among(50));
  expect(await size.share()).toBe(1);
  expect(await size.share()).toBe(0.01);
});
