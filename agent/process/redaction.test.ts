import { expect, test } from "vitest";
import { compileRedaction, type RedactionFilter } from "./redaction.ts";
import { ProcScanner } from "./scan.ts";

const cases: Record<string, { filters: RedactionFilter[]; binary?: string; text: string; want: string }> = {
  "what a group matches is hidden, each time": {
    filters: [{ redact: ["--password[= ](\\S*)"] }],
    text: "--user a --password=secret --password other -v",
    want: "--user a --password=***** --password ***** -v",
  },
  "every group is hidden, optional ones where they take part": {
    filters: [{ redact: ["-u (\\w+)(?::(\\w+))?"] }],
    text: "-u root:secret -u guest",
    want: "-u *****:***** -u *****",
  },
  "a group within a group goes with it": {
    filters: [{ redact: ["key=((a+)b)"] }],
    text: "key=aab c",
    want: "key=***** c",
  },
  "patterns and filters come one after the other": {
    filters: [{ redact: ["a=(\\d)", "b=(\\d)"] }, { redact: ["c=(\\d)"] }],
    text: "a=1 b=2 c=3 d=4",
    want: "a=***** b=***** c=***** d=4",
  },
  "for some binaries": {
    filters: [{ binary_regex: ["^/usr/bin/mysql", "curl$"], redact: ["(secret)"] }],
    binary: "/usr/bin/curl",
    text: "secret",
    want: "*****",
  },
  "not for others": {
    filters: [{ binary_regex: ["^/usr/bin/mysql"], redact: ["(secret)"] }],
    binary: "/usr/bin/curl",
    text: "secret",
    want: "secret",
  },
};

test.each(Object.entries(cases))("%s", (_name, { filters, binary = "/bin/x", text, want }) => {
  expect(compileRedaction(filters)?.(binary, text)).toBe(want);
});

test("without filters there is nothing to do", () => {
  expect(compileRedaction([])).toBeUndefined();
});

test("a pattern that would take exponential time elsewhere", () => {
  const redact = compileRedaction([{ redact: ["^(a+)+$"] }]);
  const text = `${"a".repeat(10_000)}!`;
  expect(redact?.("", text)).toBe(text);
});

test.each<[RedactionFilter, string]>([
  [{ redact: ["("] }, 'redaction_filters[0].redact[0]: "(" is no RE2 pattern'],
  [{ redact: ["secret"] }, 'redaction_filters[0].redact[0]: "secret" has no group and hides nothing'],
  [{ redact: ["(a)"], binary_regex: ["["] }, 'redaction_filters[0].binary_regex[0]: "["'],
  [{ binary_regex: ["a"] }, "redaction_filters[0].redact: has no pattern"],
])("%j is refused", (filter, says) => {
  expect(() => compileRedaction([filter])).toThrow(says);
});

test("processes of /proc are found with hidden arguments", () => {
  const redact = compileRedaction([{ binary_regex: ["node"], redact: ["^(.*)$"] }]);
  const mine = [...new ProcScanner("/proc", { redact }).scan()].find(({ pid }) => pid === process.pid);
  expect(mine?.facts.arguments).toBe("*****");
});
