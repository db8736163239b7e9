import { status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { CallError, errorStatus } from "./status.ts";

const details = (text: string) => errorStatus(new CallError(status.NOT_FOUND, text)).details;

test.each([
  ["a short message stays as it is", "there is no é", "there is no é"],
  ["half of a character is replaced", "a\ud800b", "a\ufffdb"],
])("%s", (_name, text, want) => {
  expect(details(text)).toBe(want);
});

test.each([
  ["in ASCII", "x".repeat(10_000)],
  ["in characters of twelve bytes", "\u{10ffff}".repeat(5_000)],
  ["where a cut falls into a character", `x${"\u{10ffff}".repeat(5_000)}`],
])("a long message is cut: %s", (_name, text) => {
  const cut = details(text);
  expect(cut.endsWith("...")).toBe(true);
  expect(encodeURI(cut).length).toBeLessThan(9_000);
});

test("what is no CallError is internal", () => {
  expect(errorStatus(new TypeError("oops"))).toEqual({ code: status.INTERNAL, details: "oops" });
});
