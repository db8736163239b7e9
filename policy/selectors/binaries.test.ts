import { describe, expect, test } from "vitest";
import { selectorOf } from "../testing/filters.ts";
import { errorsOf, type Loose, makeSelectorPolicy, warningsOf } from "../testing/policies.ts";

const AT = "spec.kprobes[0].selectors[0]";

test("matchParentBinaries is about the parent", () => {
  const entry = { operator: "Prefix", values: ["/usr/bin/"] };
  expect(selectorOf({ matchBinaries: [entry], matchParentBinaries: [entry] }).filters).toEqual([
    { match: "binary", negate: false, compare: "prefix", values: ["/usr/bin/"] },
    { match: "binary", negate: false, compare: "prefix", values: ["/usr/bin/"], of: "parent" },
  ]);
});

test.each(["In", "NotIn"])("followChildren fits %s", (operator) => {
  const entry = { operator, values: ["/a"], followChildren: true };
  expect(selectorOf({ matchBinaries: [entry] }).filters).toMatchObject([
    { compare: "equal", followChildren: true },
  ]);
});

test("followChildren does not fit other operators", () => {
  const entry = { operator: "NotPrefix", values: ["/a"], followChildren: true };
  expect(errorsOf(makeSelectorPolicy({ matchParentBinaries: [entry] }))).toEqual([
    `${AT}.matchParentBinaries[0].followChildren: fits In and NotIn only, not NotPrefix`,
  ]);
});

describe("matchBinaries", () => {
  const match = (entry: Loose) => ({ matchBinaries: [{ operator: "In", values: ["/bin/su"], ...entry }] });

  test.each([
    ["In", { compare: "equal", negate: false }],
    ["NotIn", { compare: "equal", negate: true }],
    ["Prefix", { compare: "prefix", negate: false }],
    ["NotPrefix", { compare: "prefix", negate: true }],
    ["Postfix", { compare: "postfix", negate: false }],
    ["NotPostfix", { compare: "postfix", negate: true }],
  ])("%s", (operator, want) => {
    const values = ["/bin/su", "/bin/sudo", "/bin/su", "/a", "/b", "/c"];
    expect(selectorOf(match({ operator, values })).filters).toEqual([
      { match: "binary", ...want, values: ["/bin/su", "/bin/sudo", "/a", "/b", "/c"] },
    ]);
  });

  const link = (file: string) =>
    `${AT}.matchBinaries[0].values[0]: /bin is a link to /usr/bin on most images: a process that was not started by this path is compared by that of its file, add ${file}`;
  test.each([
    ["/bin/sh", "/usr/bin/dash or /usr/bin/bash or /usr/bin/busybox"],
    ["/bin/su", "/usr/bin/su"],
  ])("warns that %s is reached through a link", (value, file) => {
    for (const operator of ["In", "NotIn", "Prefix"])
      expect(warningsOf(makeSelectorPolicy(match({ operator, values: [value] })))).toEqual([link(file)]);
  });

  test.each([
    [
      { values: ["/usr/bin/sh"] },
      "/usr/bin/sh is a link",
      "/usr/bin/dash or /usr/bin/bash or /usr/bin/busybox",
    ],
    [{ values: ["/sbin/init"] }, "/sbin is a link to /usr/sbin", "/usr/lib/systemd/systemd"],
    [{ operator: "Prefix", values: ["/bin"] }, "/bin is a link to /usr/bin", "/usr/bin"],
    [{ values: ["/var/run/agent"] }, "/var/run is a link to /run", "/run/agent"],
  ])("warns of the link in %o", (entry, fact, file) => {
    expect(warningsOf(makeSelectorPolicy(match(entry)))).toEqual([
      `${AT}.matchBinaries[0].values[0]: ${fact} on most images: a process that was not started by this path is compared by that of its file, add ${file}`,
    ]);
  });

  test.each([
    ["In", "/usr/bin/../sbin/su", "/usr/sbin/su"],
    ["NotIn", "/usr//bin/./su", "/usr/bin/su"],
    ["In", "/usr/bin/su/", "/usr/bin/su"],
    ["In", "/usr/bin/su ", "/usr/bin/su"],
    ["Prefix", "/opt//tools/", "/opt/tools/"],
    ["Postfix", "bin/su/", "bin/su"],
  ])("warns of a path that no file has: %s %o", (operator, value, right) => {
    expect(warningsOf(makeSelectorPolicy(match({ operator, values: [value] })))).toEqual([
      `${AT}.matchBinaries[0].values[0]: "${value}" is not how the kernel writes a path: write "${right}"`,
    ]);
  });

  test.each([
    ["a directory", { operator: "Prefix", values: ["/opt/tools/"] }],
    ["an ending", { operator: "Postfix", values: [".so", "..so"] }],
    ["the file beside it", { values: ["/bin/su", "/usr/bin/su"] }],
    ["the file that sh is beside it", { values: ["/bin/sh", "/usr/bin/dash"] }],
    ["an end of the path", { operator: "Postfix", values: ["/bin/su"] }],
    ["another directory", { values: ["/binary/su"] }],
  ])("does not warn of %s", (_name, entry) => {
    expect(warningsOf(makeSelectorPolicy(match(entry)))).toEqual([]);
  });

  test.each([
    ["an empty path", { values: [""] }, "values[0]: is empty: write a path"],
    ["a NUL", { values: ["/a\0b"] }, "values[0]: contains a NUL character: no path does"],
    ["a long path, in bytes", { values: [`/${"é".repeat(128)}`] }, "values[0]: is longer than 255 bytes"],
    ["a long end", { operator: "Postfix", values: ["x".repeat(128)] }, "values[0]: is longer than 127 bytes"],
    ["no path", { values: [] }, "values: is empty: the filter needs at least one value"],
    [
      "an operator of arguments",
      { operator: "Equal" },
      `operator: "Equal" is not allowed: use In (allowed: In, NotIn, Prefix, NotPrefix, Postfix, NotPostfix)`,
    ],
  ])("refuses %s", (_name, entry, error) => {
    expect(errorsOf(makeSelectorPolicy(match(entry)))).toEqual([`${AT}.matchBinaries[0].${error}`]);
  });

  test("refuses a second entry", () => {
    const entry = { operator: "In", values: ["/bin/su"] };
    expect(errorsOf(makeSelectorPolicy({ matchBinaries: [entry, entry] }))).toEqual([
      `${AT}.matchBinaries: has 2 entries, only 1 is allowed: put all values into one entry`,
    ]);
  });

  test("warns of a path that cannot be equal to a full one, but not of an end", () => {
    expect(warningsOf(makeSelectorPolicy(match({ values: ["su"] })))).toEqual([
      `${AT}.matchBinaries[0].values[0]: "su" does not start with "/": binaries are compared by their full path`,
    ]);
    expect(warningsOf(makeSelectorPolicy(match({ operator: "Postfix", values: ["su"] })))).toEqual([]);
  });

  test.each(["In", "NotPrefix", "Postfix"])("warns of a pattern in %s", (operator) => {
    expect(warningsOf(makeSelectorPolicy(match({ operator, values: ["/usr/bin/*"] })))).toEqual([
      `${AT}.matchBinaries[0].values[0]: "/usr/bin/*" is no pattern, "*" stands for itself: use Prefix or Postfix`,
    ]);
  });
});
