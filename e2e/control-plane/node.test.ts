import { expect, test } from "vitest";
import { cpusPerNode } from "./node.ts";

const cases: Record<string, { nodes: number; processors: number; cpus: number }> = {
  "each node has one if there are no more than nodes": { nodes: 2, processors: 2, cpus: 1 },
  "nodes share processors rather than have none": { nodes: 3, processors: 2, cpus: 1 },
  "a node has a second one if all can have it": { nodes: 2, processors: 4, cpus: 2 },
  "processors that do not suffice for all stay free": { nodes: 2, processors: 3, cpus: 1 },
  "a single node has two": { nodes: 1, processors: 2, cpus: 2 },
  "no node has more than two": { nodes: 1, processors: 64, cpus: 2 },
};

test.each(Object.entries(cases))("%s", (_name, { nodes, processors, cpus }) => {
  expect(cpusPerNode(nodes, processors)).toBe(cpus);
});
