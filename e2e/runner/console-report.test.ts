import { expect, test } from "vitest";
import { ConsoleReport } from "./console-report.ts";
import type { TestReport } from "./protocol.ts";

function makeReport(state: TestReport["state"], name: string, detail?: string): TestReport {
  return { file: "a.test.ts", name, state, ms: 1, ...(detail ? { detail } : {}) };
}

function print(suites: Record<string, TestReport[]>, logs: string[] = []): string {
  const lines: string[] = [];
  const report = new ConsoleReport((line) => lines.push(line));
  for (const [suite, tests] of Object.entries(suites)) {
    const mine = report.startSuite(suite);
    for (const line of logs) mine.log(line);
    for (const each of tests) mine.add(each);
    mine.end();
  }
  report.finish();
  return lines.join("\n");
}

test("the last line has the totals of all suites and nothing else", () => {
  const text = print({
    one: [
      makeReport("passed", "a"),
      makeReport("failed", "b", "why"),
      makeReport("skipped", "c", "no kernel"),
    ],
    two: [makeReport("passed", "d")],
  });
  expect(text.split("\n").at(-1)).toBe("2 passed, 1 failed");
});

test("files that a kernel leaves out are listed, with the command that leaves out none", () => {
  const lines: string[] = [];
  const report = new ConsoleReport((line) => lines.push(line));
  report.leaveOut("kernel 6.1", ["a.guest-test.ts", "b.guest-test.ts"]);
  report.leaveOut("kernel 6.12", []);
  report.finish();
  expect(lines.join("\n")).toMatch(
    /^\nleft out .*`npm run test:kernel` runs all\):\n {2}kernel 6\.1: a\.guest-test\.ts b\.guest-test\.ts\n\n0 passed/,
  );
});

test("skips are listed with the missing capability, failures with the beginning of their detail", () => {
  const detail = ["1 is not 2", "", ...Array.from({ length: 8 }, (_, i) => `at line ${i}`)].join("\n");
  const text = print({ one: [makeReport("failed", "b", detail), makeReport("skipped", "c", "no kernel")] });
  expect(text).toContain("skipped:\n  one: a.test.ts: c: no kernel\n");
  const closing = text.slice(text.indexOf("\nfailed:\n"));
  expect(closing).toMatch(/^\nfailed:\n {2}one: a.test.ts: b\n {6}1 is not 2\n {6}at line 0\n/);
  expect(closing).toContain("at line 6");
  expect(closing).not.toContain("at line 7");
});

test("the output of tests is shown only if one failed", () => {
  expect(print({ one: [makeReport("passed", "a")] }, ["some output"])).not.toContain("some output");
  expect(print({ one: [makeReport("failed", "a")] }, ["some output"])).toContain("some output");
});

test("a detail that repeats is shown once while tests run", () => {
  const text = print({
    one: [makeReport("failed", "a", "the hook failed"), makeReport("failed", "b", "the hook failed")],
  });
  expect(text.slice(0, text.indexOf("\nfailed:\n")).match(/the hook failed/g)).toHaveLength(1);
});

test("each line of suites that run at the same time begins with the suite's label", () => {
  const lines: string[] = [];
  const report = new ConsoleReport((line) => lines.push(line));
  const [one, two] = [report.startSuite("one", "one| "), report.startSuite("two", "two| ")];
  one.add(makeReport("failed", "a", "first\nsecond"));
  two.note("still running");
  one.end();
  expect(lines.join("\n").split("\n").filter(Boolean)).toSatisfy((all: string[]) =>
    all.every((line) => /^(one|two)\| /.test(line)),
  );
  two.end();
  report.finish();
  expect(lines.at(-1)).toBe("\n0 passed, 1 failed");
});
