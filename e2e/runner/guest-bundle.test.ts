import { describe, expect, it } from "vitest";
import { keepPlaces } from "./guest-bundle.ts";

describe("a file that is joined with others", () => {
  it.each([
    ["its directory", "join(import.meta.dirname, x)", 'join("/p/e2e", x)'],
    ["its address", "new URL(x, import.meta.url)", 'new URL(x, "file:///p/e2e/a.ts")'],
    ["a file beside it", 'import.meta.resolve("./b.ts")', '"file:///p/e2e/b.ts"'],
    ["a file of the project", 'import.meta.resolve("#project/b")', 'import.meta.resolve("#project/b")'],
  ])("still knows %s", (_, code, expected) => {
    expect(keepPlaces(code, "/p/e2e/a.ts")).toBe(expected);
  });
});
