import { describe, expect, test } from "vitest";
import { selectorOf } from "../testing/filters.ts";
import { errorsOf, type Loose, makeSelectorPolicy } from "../testing/policies.ts";

const AT = "spec.kprobes[0].selectors[0]";

describe("matchPIDs", () => {
  const match = (entry: Loose) => ({ matchPIDs: [{ operator: "In", values: [1], ...entry }] });

  test("keeps values, operator and flags", () => {
    const { filters } = selectorOf({
      matchPIDs: [
        { operator: "In", values: [0, 1, 2, 3, 4, 5, 5], followForks: true },
        { operator: "NotIn", values: [7], isNamespacePID: true },
      ],
    });
    expect(filters).toEqual([
      { match: "pid", negate: false, values: [0, 1, 2, 3, 4, 5], namespacePid: false, followForks: true },
      { match: "pid", negate: true, values: [7], namespacePid: true, followForks: false },
    ]);
  });

  test.each([
    ["a negative pid", { values: [1, -1] }, "values[1]: is -1: a process id is 0 or more"],
    ["no pid", { values: [] }, "values: is empty: the filter needs at least one value"],
    [
      "too many",
      { values: Array.from({ length: 65 }, (_, n) => n) },
      "values: has 65 entries: at most 64 are allowed",
    ],
    [
      "another operator",
      { operator: "Equal" },
      `operator: "Equal" is not allowed: use In (allowed: In, NotIn)`,
    ],
  ])("refuses %s", (_name, entry, error) => {
    expect(errorsOf(makeSelectorPolicy(match(entry)))).toEqual([`${AT}.matchPIDs[0].${error}`]);
  });
});

describe("matchNamespaces", () => {
  const match = (entry: Loose) => ({
    matchNamespaces: [{ namespace: "Pid", operator: "In", values: ["1"], ...entry }],
  });

  test("takes numbers in every notation and host_ns", () => {
    const values = ["host_ns", "4026531836", "0xf0000001", "0", "017", "4294967295", "host_ns"];
    expect(selectorOf(match({ values })).filters).toEqual([
      {
        match: "namespace",
        negate: false,
        namespace: "Pid",
        values: ["host_ns", 4026531836, 4026531841, 0, 15, 4294967295],
      },
    ]);
  });

  test.each([
    "Uts",
    "Ipc",
    "Mnt",
    "Pid",
    "PidForChildren",
    "Net",
    "Time",
    "TimeForChildren",
    "Cgroup",
    "User",
  ])("knows the namespace %s", (namespace) => {
    expect(selectorOf(match({ namespace, operator: "NotIn" })).filters).toEqual([
      { match: "namespace", negate: true, namespace, values: [1] },
    ]);
  });

  test.each([
    [
      "a word",
      { values: ["host"] },
      `values[0]: "host" is not a namespace: write its inode number, or host_ns`,
    ],
    [
      "a misspelt host_ns",
      { values: ["hostns"] },
      `values[0]: "hostns" is not a namespace: did you mean "host_ns"?`,
    ],
    [
      "a large number",
      { values: ["4294967296"] },
      `values[0]: "4294967296" is not a namespace: write its inode number, or host_ns`,
    ],
    [
      "a negative number",
      { values: ["-1"] },
      `values[0]: "-1" is not a namespace: write its inode number, or host_ns`,
    ],
    ["no value", { values: [] }, "values: is empty: the filter needs at least one value"],
    [
      "another namespace",
      { namespace: "Pids" },
      `namespace: "Pids" is not allowed: did you mean "Pid"? (allowed: Uts, Ipc, Mnt, Pid, PidForChildren, Net, Time, TimeForChildren, Cgroup, User)`,
    ],
  ])("refuses %s", (_name, entry, error) => {
    expect(errorsOf(makeSelectorPolicy(match(entry)))).toEqual([`${AT}.matchNamespaces[0].${error}`]);
  });

  test("refuses eleven entries", () => {
    const entries = Array(11).fill({ namespace: "Pid", operator: "In", values: ["1"] });
    expect(errorsOf(makeSelectorPolicy({ matchNamespaces: entries }))).toEqual([
      `${AT}.matchNamespaces: has 11 entries: at most 10 are allowed`,
    ]);
  });
});
