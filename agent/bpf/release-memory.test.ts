import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { bpf } from "./testing/programs.ts";

/** Resident kilobytes of Node's own file. */
function residentOfNode(): number {
  const mappings = readFileSync("/proc/self/smaps", "utf8").split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const own = mappings.filter((mapping) => mapping.split("\n")[0]?.endsWith(process.execPath));
  return own.reduce((sum, mapping) => sum + Number(/^Rss:\s+(\d+)/m.exec(mapping)?.[1]), 0);
}

const ways: Record<string, () => void | Promise<void>> = {
  "at once": () => bpf.releaseMemory(),
  "in another thread": () => bpf.trimMemoryAsync(),
};
test.each(Object.entries(ways))(
  "pages of the program are given back %s, and come again",
  async (_name, release) => {
    new Intl.NumberFormat("de").format(12_345.6);
    const before = residentOfNode();
    await release();
    expect(residentOfNode()).toBeLessThan(before * 0.6);
    expect(new Intl.NumberFormat("de").format(12_345.6)).toBe("12.345,6");
    expect(JSON.parse(JSON.stringify({ a: [1, "b"] }))).toEqual({ a: [1, "b"] });
  },
);
