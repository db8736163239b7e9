import { expect, test } from "vitest";
import { UntilMarker } from "./ports.ts";

const MARKER = "--end--";

const cases: Record<string, { chunks: string[]; want: string; found: boolean }> = {
  "passes what comes before the marker": { chunks: ["hello--end--"], want: "hello", found: true },
  "finds a marker that is split over chunks": {
    chunks: ["hello--e", "n", "d--"],
    want: "hello",
    found: true,
  },
  "passes what only begins like the marker": {
    chunks: ["a--en", "x--e", "nd-"],
    want: "a--enx--end-",
    found: false,
  },
  "finds a marker behind its own beginning": { chunks: ["----", "end--"], want: "--", found: true },
  "drops what comes after the marker": { chunks: ["a--end--b", "c"], want: "a", found: true },
  "passes an empty stream": { chunks: ["--end--"], want: "", found: true },
};

test.each(Object.entries(cases))("%s", async (_name, { chunks, want, found }) => {
  let markers = 0;
  const filter = new UntilMarker(MARKER, () => markers++);
  for (const chunk of chunks) filter.write(chunk);
  filter.end();
  expect(Buffer.concat(await filter.toArray()).toString()).toBe(want);
  expect(markers).toBe(found ? 1 : 0);
});
