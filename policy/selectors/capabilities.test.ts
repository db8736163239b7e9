import { describe, expect, test } from "vitest";
import { errorsOf, hooksOf, type Loose, makeSelectorPolicy } from "../testing/policies.ts";

const AT = "spec.kprobes[0].selectors[0]";
const ADMIN = String(1n << 21n);
/** Of a call that changes nothing itself. */
const filtersOf = (selector: Loose, probe: Loose = { call: "sys_dup", args: [] }) =>
  hooksOf(makeSelectorPolicy(selector, probe))[0]?.selectors[0]?.filters;

describe.each(["matchCapabilities", "matchCapabilityChanges"] as const)("%s", (part) => {
  const entry = (more: Loose) => ({ [part]: [{ operator: "In", values: ["CAP_SYS_ADMIN"], ...more }] });
  const match = part === "matchCapabilities" ? "capability" : "capabilityChange";

  test.each([
    ["the effective set by default", {}, { set: "Effective", mask: ADMIN, inNamespace: false }],
    ["another set", { type: "Permitted" }, { set: "Permitted", mask: ADMIN, inNamespace: false }],
    [
      "only in namespaces",
      { isNamespaceCapability: true },
      { set: "Effective", mask: ADMIN, inNamespace: true },
    ],
    [
      "more than four capabilities",
      {
        type: "Inheritable",
        values: ["CHOWN", "cap_dac_override", "CAP_KILL", "SETUID", "CAP_BPF", "CAP_BPF"],
      },
      { set: "Inheritable", mask: String(1n | 2n | 32n | 128n | (1n << 39n)), inNamespace: false },
    ],
  ])("knows %s", (_name, more, want) => {
    expect(filtersOf(entry(more))).toEqual([{ match, negate: false, ...want }]);
  });

  test.each([
    [
      "an unknown one",
      { values: ["CAP_SYS_ADMINS"] },
      `values[0]: "CAP_SYS_ADMINS" is not a capability: did you mean "CAP_SYS_ADMIN"?`,
    ],
    ["a number", { values: ["CAP_BPF", "21"] }, `values[1]: "21" is a number: write CAP_SYS_ADMIN`],
    ["none", { values: [] }, "values: is empty: the filter needs at least one value"],
    [
      "another operator",
      { operator: "Equal" },
      `operator: "Equal" is not allowed: use In (allowed: In, NotIn)`,
    ],
    [
      "another set",
      { type: "Bounding" },
      `type: "Bounding" is not allowed (allowed: Effective, Inheritable, Permitted)`,
    ],
  ])("refuses %s", (_name, more, error) => {
    expect(errorsOf(makeSelectorPolicy(entry(more)))).toEqual([`${AT}.${part}[0].${error}`]);
  });

  test("several entries are several filters", () => {
    const one = { operator: "In", values: ["CAP_BPF"] };
    expect(filtersOf({ [part]: [one, { ...one, type: "Permitted" }] })).toMatchObject([
      { match, set: "Effective" },
      { match, set: "Permitted" },
    ]);
  });
});

test("matchCapabilities NotIn: none of them", () => {
  expect(filtersOf({ matchCapabilities: [{ operator: "NotIn", values: ["CAP_SYS_ADMIN"] }] })).toEqual([
    { match: "capability", negate: true, set: "Effective", mask: ADMIN, inNamespace: false },
  ]);
});

test("matchCapabilityChanges NotIn: a change of any other", () => {
  expect(
    filtersOf({ matchCapabilityChanges: [{ operator: "NotIn", values: ["CAP_SYS_ADMIN"] }] }),
  ).toMatchObject([
    { match: "capabilityChange", negate: false, mask: String((1n << 64n) - 1n - (1n << 21n)) },
  ]);
});

describe("matchNamespaceChanges", () => {
  const entry = (operator: string, ...values: string[]) => ({
    matchNamespaceChanges: [{ operator, values }],
  });
  const ALL = [
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
  ];

  test.each([
    ["In", ["User", "Mnt", "User"], ["User", "Mnt"]],
    [
      "NotIn",
      ["User", "Mnt"],
      ["Uts", "Ipc", "Pid", "PidForChildren", "Net", "Time", "TimeForChildren", "Cgroup"],
    ],
  ])("%s", (operator, values, namespaces) => {
    expect(filtersOf(entry(operator, ...values))).toEqual([
      { match: "namespaceChange", negate: false, namespaces },
    ]);
  });

  test.each([
    [
      "an unknown kind",
      entry("In", "Mount"),
      `[0].values[0]: "Mount" is not a kind of namespace: must be ${ALL.join(", ")}`,
    ],
    [
      "a misspelt kind",
      entry("In", "user"),
      `[0].values[0]: "user" is not a kind of namespace: did you mean "User"?`,
    ],
    ["no kind", entry("In"), "[0].values: is empty: the filter needs at least one value"],
    [
      "all kinds for NotIn",
      entry("NotIn", ...ALL),
      "[0].values: names every namespace: NotIn leaves none to look at",
    ],
    [
      "two entries",
      {
        matchNamespaceChanges: [
          { operator: "In", values: ["User"] },
          { operator: "In", values: ["Mnt"] },
        ],
      },
      ": has 2 entries, only 1 is allowed: put all values into one entry",
    ],
  ])("refuses %s", (_name, selector, error) => {
    expect(errorsOf(makeSelectorPolicy(selector))).toEqual([`${AT}.matchNamespaceChanges${error}`]);
  });
});

describe("CapabilitiesGained", () => {
  const probe = {
    call: "security_capset",
    syscall: false,
    args: [
      { index: 0, type: "nop" },
      { index: 1, type: "cap_effective", resolve: "cap_effective" },
      { index: 2, type: "kernel_cap_t" },
    ],
  };
  const gained = (entry: Loose) => ({
    matchArgs: [{ operator: "CapabilitiesGained", args: [1, 2], ...entry }],
  });

  test("compares the old set with the new one", () => {
    expect(filtersOf(gained({}), probe)).toEqual([{ match: "arg", arg: 1, newArg: 2, compare: "gained" }]);
  });

  test("takes entries of data", () => {
    const data = ["cap_effective", "cap_permitted"].map((member, index) => ({
      index,
      type: member,
      source: "current_task",
      resolve: `cred.${member}`,
    }));
    const selector = { matchData: [{ operator: "CapabilitiesGained", args: [1, 0] }] };
    expect(filtersOf(selector, { data })).toEqual([{ match: "arg", arg: 2, newArg: 1, compare: "gained" }]);
  });

  const right = "CapabilitiesGained needs args: [OLD, NEW], the positions of two capability sets";
  test.each([
    ["no args", { args: undefined }, `args: is missing: ${right}`],
    ["one of them", { args: [1] }, `args: has 1 position: ${right}`],
    ["three", { args: [1, 2, 1] }, `args: has 3 positions: ${right}`],
    ["an index", { index: 1, args: undefined }, `index: names one argument: ${right}`],
    [
      "a position that there is not",
      { args: [1, 3] },
      "args[1]: there is no position 3: args has 3 entries, from 0",
    ],
    [
      "another type",
      { args: [0, 2] },
      "args[0]: is of the type nop: must be one of kernel_cap_t, cap_inheritable, cap_permitted, cap_effective",
    ],
    ["the same set", { args: [2, 2] }, "args: names the same set twice: it gains nothing"],
    ["values", { values: ["1"] }, "values: must be empty: CapabilitiesGained compares two arguments"],
  ])("refuses %s", (_name, entry, error) => {
    expect(errorsOf(makeSelectorPolicy(gained(entry), probe))).toEqual([`${AT}.matchArgs[0].${error}`]);
  });
});
