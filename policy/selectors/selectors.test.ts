import { describe, expect, test } from "vitest";
import type { FilterDef, SelectorDef } from "../../crds/hook-spec.ts";
import {
  errorsOf,
  hooksOf,
  type Loose,
  makePolicy,
  makeProbe,
  makeSelectorPolicy,
  warningsOf,
} from "../test-data.ts";

const AT = "spec.kprobes[0].selectors[0]";

/** Arguments of every type that can be compared, and some that cannot; position equals place in this list. */
const KERNEL_ARGS = { call: "some_function", syscall: false };

function selectorOf(selector: Loose, probe: Loose = {}): SelectorDef {
  const found = hooksOf(makeSelectorPolicy(selector, probe))[0]?.selectors[0];
  if (!found) throw new Error("no selector");
  return found;
}

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
    ["another operator", { operator: "Equal" }, `operator: "Equal" is not allowed (allowed: In, NotIn)`],
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

  test.each([
    ["an empty path", { values: [""] }, "values[0]: is empty: write a path"],
    ["a NUL", { values: ["/a\0b"] }, "values[0]: contains a NUL character: no path does"],
    ["a long path, in bytes", { values: [`/${"é".repeat(128)}`] }, "values[0]: is longer than 255 bytes"],
    ["a long end", { operator: "Postfix", values: ["x".repeat(128)] }, "values[0]: is longer than 127 bytes"],
    ["no path", { values: [] }, "values: is empty: the filter needs at least one value"],
    [
      "an operator of arguments",
      { operator: "Equal" },
      `operator: "Equal" is not allowed (allowed: In, NotIn, Prefix, NotPrefix, Postfix, NotPostfix)`,
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
});

/** The filter that an entry of matchArgs on one argument makes, or its errors. */
function argFilter(type: string, operator: string, values: string[]): FilterDef | string[] {
  const probe = { ...KERNEL_ARGS, args: [{ index: 0, type }] };
  const policy = makeSelectorPolicy({ matchArgs: [{ index: 0, operator, values }] }, probe);
  const errors = errorsOf(policy);
  if (errors.length > 0) return errors.map((error) => error.replace(`${AT}.matchArgs[0].`, ""));
  const filter = hooksOf(policy)[0]?.selectors[0]?.filters[0];
  if (!filter) throw new Error("no filter");
  return filter;
}

const ranges = (...list: [string, string][]) => ({
  match: "arg",
  arg: 0,
  negate: false,
  compare: "range",
  ranges: list,
});
const notRanges = (...list: [string, string][]) => ({ ...ranges(...list), negate: true });
const masks = (bits: string) => ({ match: "arg", arg: 0, negate: false, compare: "mask", masks: [bits] });

const MAX32 = "4294967295";
const MAX64 = "18446744073709551615";

describe("matchArgs on integers", () => {
  const cases: [name: string, type: string, operator: string, values: string[], want: unknown][] = [
    ["Equal", "int", "Equal", ["0"], ranges(["0", "0"])],
    [
      "Equal to any of several, merged and in order",
      "uint32",
      "Equal",
      ["9", "1", "2", "1"],
      ranges(["1", "2"], ["9", "9"]),
    ],
    [
      "Equal in hexadecimal, octal and binary",
      "uint32",
      "Equal",
      ["0x10", "020", "0o17", "0b1"],
      ranges(["1", "1"], ["15", "16"]),
    ],
    ["NotEqual to none of several", "uint32", "NotEqual", ["0", "5"], notRanges(["0", "0"], ["5", "5"])],
    ["-1 of a signed type", "int", "Equal", ["-1"], ranges(["-1", "-1"])],
    ["the unsigned spelling of -1", "int", "Equal", [MAX32], ranges(["-1", "-1"])],
    ["both spellings are one value", "int32", "Equal", ["-1", MAX32], ranges(["-1", "-1"])],
    ["4294967295 of an unsigned type", "uint32", "Equal", [MAX32], ranges([MAX32, MAX32])],
    ["GT", "uint32", "GT", ["1000"], ranges(["1001", MAX32])],
    [
      "GreaterThan of a signed type leaves negative values out",
      "int",
      "GreaterThan",
      ["1000"],
      ranges(["1001", "2147483647"]),
    ],
    ["GT a negative value", "int", "GT", ["-2"], ranges(["-1", "2147483647"])],
    ["LT", "uint32", "LT", ["1000"], ranges(["0", "999"])],
    [
      "LessThan of a signed type has negative values in",
      "int",
      "LessThan",
      ["1"],
      ranges(["-2147483648", "0"]),
    ],
    ["GT any of several", "uint32", "GT", ["1000", "10"], ranges(["11", MAX32])],
    ["LT of 64 bits", "int64", "LT", ["0"], ranges(["-9223372036854775808", "-1"])],
    ["InRange", "uint32", "InRange", ["1000:60000"], ranges(["1000", "60000"])],
    [
      "InRange above 2^31",
      "uint32",
      "InRange",
      ["2147483648:4294967294"],
      ranges(["2147483648", "4294967294"]),
    ],
    ["InRange of 64 bits", "size_t", "InRange", [`0x100000000:${MAX64}`], ranges(["4294967296", MAX64])],
    ["overlapping ranges are merged", "uint32", "InRange", ["5:9", "1:6", "10:11"], ranges(["1", "11"])],
    [
      "a range across 2^31 of a signed type",
      "int",
      "InRange",
      ["1000:4294967294"],
      ranges(["-2147483648", "-2"], ["1000", "2147483647"]),
    ],
    [
      "a range above 2^31 of a signed type",
      "int",
      "InRange",
      ["4294967290:4294967295"],
      ranges(["-6", "-1"]),
    ],
    ["a range of negative values", "int", "InRange", ["-5:-1"], ranges(["-5", "-1"])],
    ["NotInRange", "uint8", "NotInRange", ["1:2", "4:255"], notRanges(["1", "2"], ["4", "255"])],
    ["InMap takes numbers and ranges", "ulong", "InMap", ["7", "1:3"], ranges(["1", "3"], ["7", "7"])],
    ["NotInMap", "long", "NotInMap", ["-1"], notRanges(["-1", "-1"])],
    ["Mask", "uint64", "Mask", ["0x10000000", "1"], masks("268435457")],
    ["Mask of a signed type has its width", "int", "Mask", ["-1"], masks(MAX32)],
    ["Mask above 2^31", "int", "Mask", ["0x80000000"], masks("2147483648")],
    ["the largest value", "uint64", "Equal", [MAX64], ranges([MAX64, MAX64])],
    ["8 bits", "int8", "Equal", ["-128", "127"], ranges(["-128", "-128"], ["127", "127"])],
    ["16 bits", "uint16", "Equal", ["65535"], ranges(["65535", "65535"])],
    ["the same in sint16", "sint16", "LT", ["-32767"], ranges(["-32768", "-32768"])],
    ["a value with a plus", "int", "Equal", ["+5"], ranges(["5", "5"])],
  ];

  test.each(cases)("%s", (_name, type, operator, values, want) => {
    expect(argFilter(type, operator, values)).toEqual(want);
  });

  const refused: [name: string, type: string, operator: string, values: string[], errors: string[]][] = [
    [
      "a word",
      "int",
      "Equal",
      ["root"],
      [`values[0]: "root" is not a number: write decimal, 0x for hexadecimal or 0 for octal`],
    ],
    [
      "an empty value",
      "int",
      "Equal",
      [""],
      [`values[0]: "" is not a number: write decimal, 0x for hexadecimal or 0 for octal`],
    ],
    [
      "a number with a space",
      "int",
      "Equal",
      ["1 "],
      [`values[0]: "1 " is not a number: write decimal, 0x for hexadecimal or 0 for octal`],
    ],
    [
      "an octal number with an 8",
      "int",
      "Equal",
      ["08"],
      [`values[0]: "08" is not a number: write decimal, 0x for hexadecimal or 0 for octal`],
    ],
    [
      "a fraction",
      "int",
      "Equal",
      ["1.5"],
      [`values[0]: "1.5" is not a number: write decimal, 0x for hexadecimal or 0 for octal`],
    ],
    [
      "a negative value of an unsigned type",
      "uint32",
      "Equal",
      ["1", "-1"],
      ["values[1]: -1 is negative, the type is unsigned: write 4294967295"],
    ],
    [
      "a very negative value of an unsigned type",
      "uint8",
      "Equal",
      ["-999"],
      ["values[0]: -999 is negative, the type is unsigned"],
    ],
    [
      "a value above the type",
      "uint32",
      "Equal",
      ["4294967296"],
      ["values[0]: 4294967296 is out of range: 0 to 4294967295"],
    ],
    ["a value above a small type", "uint8", "Equal", ["256"], ["values[0]: 256 is out of range: 0 to 255"]],
    [
      "an unsigned spelling of a small signed type",
      "int8",
      "Equal",
      ["255"],
      ["values[0]: 255 is out of range: -128 to 127"],
    ],
    [
      "a value above int",
      "int",
      "Equal",
      ["4294967296"],
      ["values[0]: 4294967296 is out of range: -2147483648 to 4294967295"],
    ],
    [
      "a value above long",
      "long",
      "Equal",
      ["9223372036854775808"],
      ["values[0]: 9223372036854775808 is out of range: -9223372036854775808 to 9223372036854775807"],
    ],
    [
      "an endless value",
      "ulong",
      "Equal",
      ["9".repeat(5000)],
      [`values[0]: "${"9".repeat(75)}..." is not a number: write decimal, 0x for hexadecimal or 0 for octal`],
    ],
    ["a range for Equal", "int", "Equal", ["1:2"], [`values[0]: "1:2" is a range: use InRange`]],
    ["a range for NotEqual", "int", "NotEqual", ["1:2"], [`values[0]: "1:2" is a range: use NotInRange`]],
    [
      "a number for InRange",
      "int",
      "InRange",
      ["1"],
      [`values[0]: "1" is not a range: write min:max, both included`],
    ],
    [
      "three numbers for InRange",
      "int",
      "InRange",
      ["1:2:3"],
      [`values[0]: "1:2:3" is not a range: write min:max, both included`],
    ],
    ["an empty range", "int", "InRange", ["2:1"], [`values[0]: "2:1" is empty: 2 is above 1`]],
    [
      "GT of an unsigned spelling in a signed type",
      "int",
      "GT",
      ["3000000000"],
      ["values[0]: 3000000000 is negative in a signed type: use uint32, or InRange 3000000000:4294967295"],
    ],
    ["GT the largest value", "uint32", "GT", [MAX32], [`values[0]: nothing is above ${MAX32} in this type`]],
    ["LT the smallest value", "uint32", "LT", ["0"], ["values[0]: nothing is below 0 in this type"]],
    ["a mask without bits", "uint32", "Mask", ["0"], ["values[0]: 0 has no bits: it never matches"]],
    ["no values", "uint32", "Equal", [], ["values: is empty: Equal needs at least one value"]],
    [
      "too many ranges",
      "uint32",
      "Equal",
      Array.from({ length: 65 }, (_, n) => String(2 * n)),
      ["values: makes 65 ranges: at most 64 are allowed"],
    ],
    [
      "every wrong value, each at its place",
      "uint8",
      "Equal",
      ["x", "1", "y"],
      [
        `values[0]: "x" is not a number: write decimal, 0x for hexadecimal or 0 for octal`,
        `values[2]: "y" is not a number: write decimal, 0x for hexadecimal or 0 for octal`,
      ],
    ],
  ];

  test.each(refused)("refuses %s", (_name, type, operator, values, errors) => {
    expect(argFilter(type, operator, values)).toEqual(errors);
  });

  test.each([
    [
      "uint32",
      [
        "Equal",
        "NotEqual",
        "GT",
        "GreaterThan",
        "LT",
        "LessThan",
        "Mask",
        "InRange",
        "NotInRange",
        "InMap",
        "NotInMap",
      ],
    ],
    ["cap_effective", ["Equal", "NotEqual", "Mask", "CapabilitiesGained"]],
  ])("an operator that does not fit %s names those that do", (type, fitting) => {
    expect(argFilter(type, "Prefix", ["1"])).toEqual([
      `operator: Prefix does not fit the type ${type}: use ${fitting.join(", ")}`,
    ]);
  });

  const INTEGERS = [
    "int",
    "sint8",
    "int8",
    "uint8",
    "sint16",
    "int16",
    "uint16",
    "uint32",
    "sint32",
    "int32",
    "ulong",
    "uint64",
    "size_t",
    "long",
    "sint64",
    "int64",
  ];
  test.each(INTEGERS)("%s takes every operator of integers, and no other", (type) => {
    for (const operator of [
      "Equal",
      "NotEqual",
      "GT",
      "GreaterThan",
      "LT",
      "LessThan",
      "InMap",
      "NotInMap",
    ]) {
      expect(argFilter(type, operator, ["1"])).toMatchObject({ compare: "range" });
    }
    expect(argFilter(type, "InRange", ["1:2"])).toMatchObject({ compare: "range" });
    expect(argFilter(type, "NotInRange", ["1:2"])).toMatchObject({ compare: "range", negate: true });
    expect(argFilter(type, "Mask", ["1"])).toMatchObject({ compare: "mask" });
    for (const operator of ["Postfix", "SAddr", "State", "SubString", "FileType", "Family"]) {
      expect(argFilter(type, operator, ["1"])).toEqual([
        expect.stringMatching(`^operator: ${operator} does not fit the type ${type}: use Equal,`),
      ]);
    }
  });
});

describe("matchArgs on capability sets", () => {
  const cases: [name: string, type: string, operator: string, values: string[], want: unknown][] = [
    ["Equal to no capability", "cap_permitted", "Equal", ["0"], ranges(["0", "0"])],
    ["Equal to all", "kernel_cap_t", "Equal", ["0x1ffffffffff"], ranges(["2199023255551", "2199023255551"])],
    ["NotEqual", "cap_effective", "NotEqual", ["0"], notRanges(["0", "0"])],
    ["Mask by name", "cap_effective", "Mask", ["CAP_SYS_ADMIN"], masks("2097152")],
    [
      "Mask without CAP_ and in lower case",
      "cap_inheritable",
      "Mask",
      ["dac_override", "cap_dac_override"],
      masks("2"),
    ],
    [
      "names with commas are one set",
      "cap_effective",
      "Equal",
      ["CAP_CHOWN, CAP_DAC_OVERRIDE"],
      ranges(["3", "3"]),
    ],
    ["the last capability", "kernel_cap_t", "Mask", ["CAP_CHECKPOINT_RESTORE"], masks("1099511627776")],
    ["64 bits", "kernel_cap_t", "Mask", ["0x8000000000000000"], masks("9223372036854775808")],
  ];

  test.each(cases)("%s", (_name, type, operator, values, want) => {
    expect(argFilter(type, operator, values)).toEqual(want);
  });

  test.each([
    [
      "an unknown name",
      "Mask",
      "CAP_SYS_ADMINS",
      `values[0]: "CAP_SYS_ADMINS" is not a capability: did you mean "CAP_SYS_ADMIN"?`,
    ],
    [
      "one of several names",
      "Equal",
      "CAP_BPF,xyz",
      `values[0]: "xyz" is not a capability: write a name such as CAP_SYS_ADMIN`,
    ],
    [
      "a set of 65 bits",
      "Equal",
      "0x10000000000000000",
      "values[0]: 0x10000000000000000 is out of range: a capability set has 64 bits",
    ],
    ["an empty mask", "Mask", "0x0", "values[0]: 0x0 has no bits: it never matches"],
    [
      "an operator of integers",
      "GT",
      "1",
      "operator: GT does not fit the type cap_effective: use Equal, NotEqual, Mask, CapabilitiesGained",
    ],
  ])("refuses %s", (_name, operator, value, error) => {
    expect(argFilter("cap_effective", operator, [value])).toEqual([error]);
  });
});

describe("matchArgs on types that cannot be compared", () => {
  test.each([
    ["cred", "a whole credential has no order or value; resolve one of its members, such as euid.val"],
    ["user_namespace", "a user namespace has no order or value; resolve one of its members, such as level"],
    ["capability", "list the argument a second time with type: int and refer to it with args: [POSITION]"],
    ["nop", "nop reads nothing; give the argument its type"],
    ["module", "a module has no order or value; resolve its name as a string"],
    ["load_info", "a module has no order or value; resolve its name as a string"],
  ])("%s", (type, right) => {
    for (const operator of ["Equal", "Prefix", "Mask", "InMap"]) {
      expect(argFilter(type, operator, ["0"])).toEqual([
        `operator: ${operator} does not fit the type ${type}: ${right}`,
      ]);
    }
  });
});

describe("matchArgs: which argument", () => {
  const probe = {
    call: "cap_capable",
    syscall: false,
    args: [
      { index: 2, type: "capability" },
      { index: 0, type: "cred" },
      { index: 2, type: "int" },
      { index: 3, type: "uint32" },
    ],
  };
  const policy = (entry: Loose) =>
    makeSelectorPolicy({ matchArgs: [{ operator: "Equal", values: ["1"], ...entry }] }, probe);

  test.each([
    ["index is the parameter", { index: 3 }, 3],
    ["args is the position", { args: [2] }, 2],
    ["an empty args counts as none", { args: [], index: 3 }, 3],
  ])("%s", (_name, entry, arg) => {
    expect(hooksOf(policy(entry))[0]?.selectors[0]?.filters).toMatchObject([{ match: "arg", arg }]);
  });

  test("without index or args the parameter 0 is meant, with a warning", () => {
    const zero = makeSelectorPolicy({ matchArgs: [{ operator: "Equal", values: ["1"] }] });
    expect(hooksOf(zero)[0]?.selectors[0]?.filters).toMatchObject([{ arg: 0 }]);
    expect(warningsOf(zero)).toEqual([`${AT}.matchArgs[0].index: is not given: index 0 is meant`]);
  });

  test.each([
    [
      "index means the first entry of that parameter",
      { index: 2 },
      "operator: Equal does not fit the type capability: list the argument a second time with type: int and refer to it with args: [POSITION]",
    ],
    [
      "an index that is not read",
      { index: 1 },
      "index: there is no argument with index 1: the hook reads 2, 0, 3",
    ],
    [
      "a position beyond the list",
      { args: [4] },
      "args[0]: there is no position 4: args has 4 entries, from 0",
    ],
    ["two positions", { args: [2, 3] }, "args: has 2 positions: Equal compares one argument"],
    [
      "index and args",
      { index: 2, args: [2] },
      "index: and args are both given: index is the parameter, args the position; keep one",
    ],
  ])("refuses: %s", (_name, entry, error) => {
    expect(errorsOf(policy(entry))).toEqual([`${AT}.matchArgs[0].${error}`]);
  });

  test("a hook without arguments says what to do", () => {
    const none = makeSelectorPolicy(
      { matchArgs: [{ index: 0, operator: "Equal", values: ["1"] }] },
      { args: [] },
    );
    expect(errorsOf(none)).toEqual([
      `${AT}.matchArgs[0].index: there is no argument with index 0: the hook reads no arguments, add it to args`,
    ]);
  });

  test("six filters are too many", () => {
    const entry = { index: 0, operator: "Equal", values: ["1"] };
    expect(errorsOf(makeSelectorPolicy({ matchArgs: Array(6).fill(entry) }))).toEqual([
      `${AT}.matchArgs: has 6 entries: at most 5 are allowed`,
    ]);
  });
});

describe("matchArgs with lists", () => {
  const policy = (operator: string, values: string[], lists: Loose[]) =>
    makePolicy({
      lists,
      kprobes: [makeProbe({ selectors: [{ matchArgs: [{ index: 0, operator, values }] }] })],
    });
  const ids = { name: "ids", values: ["7", "1:3"] };

  test("InMap and NotInMap take the values of lists beside others", () => {
    const filters = hooksOf(policy("NotInMap", ["list:ids", "9"], [ids]))[0]?.selectors[0]?.filters;
    expect(filters).toEqual([notRanges(["1", "3"], ["7", "7"], ["9", "9"])]);
  });

  const syscalls = {
    name: "ids",
    type: "syscalls",
    values: ["sys_setuid", "__x64_sys_setgid", "sys_setuid32"],
  };

  test("a list of system calls stands for their numbers on each node", () => {
    const list = { ...syscalls, values: syscalls.values.slice(0, 2) };
    const filters = hooksOf(policy("InMap", ["list:ids", "7"], [list]))[0]?.selectors[0]?.filters;
    expect(filters).toEqual([{ ...ranges(["7", "7"]), syscalls: ["setuid", "setgid"] }]);
  });

  test.each([
    [
      "a system call without a number",
      "InMap",
      ["list:ids"],
      [syscalls],
      `spec.lists[0].values[2]: "sys_setuid32" is not a system call with a number: did you mean "setuid"?`,
    ],
    [
      "a list that does not exist",
      "InMap",
      ["list:idz"],
      [ids],
      `${AT}.matchArgs[0].values[0]: list "idz" does not exist: did you mean "ids"?`,
    ],
    [
      "a list for another operator",
      "Equal",
      ["list:ids"],
      [ids],
      `${AT}.matchArgs[0].values[0]: "list:ids": only InMap and NotInMap take lists`,
    ],
    [
      "a wrong value, at the list",
      "InMap",
      ["list:ids"],
      [{ name: "ids", values: ["1", "x"] }],
      `spec.lists[0].values[1]: "x" is not a number: write decimal, 0x for hexadecimal or 0 for octal`,
    ],
  ])("refuse %s", (_name, operator, values, lists, error) => {
    expect(errorsOf(policy(operator, values, lists))).toEqual([error]);
  });
});

describe("matchActions", () => {
  const match = (...actions: Loose[]) => ({ matchActions: actions });

  test.each([
    ["Post", { action: "Post" }, { action: "Post" }],
    ["NoPost", { action: "NoPost" }, { action: "NoPost" }],
    [
      "seconds",
      { action: "Post", rateLimit: "30" },
      { action: "Post", rateLimit: { intervalMs: 30_000, scope: "thread" } },
    ],
    [
      "s",
      { action: "Post", rateLimit: "5s" },
      { action: "Post", rateLimit: { intervalMs: 5000, scope: "thread" } },
    ],
    [
      "M in upper case",
      { action: "Post", rateLimit: "1M" },
      { action: "Post", rateLimit: { intervalMs: 60_000, scope: "thread" } },
    ],
    [
      "hours per process",
      { action: "Post", rateLimit: "2h", rateLimitScope: "process" },
      { action: "Post", rateLimit: { intervalMs: 7_200_000, scope: "process" } },
    ],
    [
      "a global limit",
      { action: "Post", rateLimit: "1s", rateLimitScope: "Global" },
      { action: "Post", rateLimit: { intervalMs: 1000, scope: "global" } },
    ],
    ["an empty limit", { action: "Post", rateLimit: "" }, { action: "Post" }],
    [
      "stack traces that are off",
      { action: "Post", kernelStackTrace: false, userStackTrace: false },
      { action: "Post" },
    ],
  ])("takes %s", (_name, action, want) => {
    expect(selectorOf(match(action)).actions).toEqual([want]);
  });

  test.each([
    ["a limit of nothing", { rateLimit: "0" }, `rateLimit: "0" limits nothing`],
    [
      "a limit of a century",
      { rateLimit: "876000h" },
      `rateLimit: "876000h" is cut to 49 days, the longest interval`,
    ],
    [
      "a scope without a limit",
      { rateLimitScope: "process" },
      "rateLimitScope: has no effect without rateLimit",
    ],
    ["an error of another action", { argError: -1 }, "argError: has no effect on Post"],
  ])("warns of %s", (_name, more, warning) => {
    const policy = makeSelectorPolicy(match({ action: "Post", ...more }));
    expect(errorsOf(policy)).toEqual([]);
    expect(warningsOf(policy)).toEqual([`${AT}.matchActions[0].${warning}`]);
  });

  test("cuts the longest limit to what the kernel counts", () => {
    expect(selectorOf(match({ action: "Post", rateLimit: "876000h" })).actions).toEqual([
      { action: "Post", rateLimit: { intervalMs: 4_294_967_295, scope: "thread" } },
    ]);
  });

  test.each([
    [
      "an unknown unit",
      [{ action: "Post", rateLimit: "1d" }],
      `[0].rateLimit: "1d" is not a time: write seconds, or a number with s, m or h, such as 1m`,
    ],
    [
      "a fraction",
      [{ action: "Post", rateLimit: "1.5m" }],
      `[0].rateLimit: "1.5m" is not a time: write seconds, or a number with s, m or h, such as 1m`,
    ],
    [
      "a negative limit",
      [{ action: "Post", rateLimit: "-1" }],
      `[0].rateLimit: "-1" is not a time: write seconds, or a number with s, m or h, such as 1m`,
    ],
    [
      "an unknown scope",
      [{ action: "Post", rateLimit: "1m", rateLimitScope: "pod" }],
      `[0].rateLimitScope: "pod" is not a scope: must be thread, process, global`,
    ],
    [
      "a misspelt scope",
      [{ action: "Post", rateLimit: "1m", rateLimitScope: "proces" }],
      `[0].rateLimitScope: "proces" is not a scope: did you mean "process"?`,
    ],
    [
      "a limit of NoPost",
      [{ action: "NoPost", rateLimit: "1m" }],
      "[0].rateLimit: fits the action Post only, not NoPost",
    ],
    [
      "a stack of NoPost",
      [{ action: "NoPost", userStackTrace: true }],
      "[0].userStackTrace: fits the action Post only, not NoPost",
    ],
    [
      "Post twice",
      [{ action: "Post" }, { action: "Post" }],
      `[1].action: Post stands at ${AT}.matchActions[0] already`,
    ],
    [
      "Post and NoPost",
      [{ action: "Post" }, { action: "NoPost" }],
      `[1].action: NoPost contradicts Post at ${AT}.matchActions[0]`,
    ],
    [
      "two jump targets",
      [{ action: "Override", argNewAddr: 1, argNewOffset: 2 }],
      "[0]: sets argNewAddr and argNewOffset: only one of them is allowed",
    ],
  ])("refuses %s", (_name, actions, error) => {
    expect(errorsOf(makeSelectorPolicy(match(...actions)))).toEqual([`${AT}.matchActions${error}`]);
  });

  test("four actions are too many", () => {
    expect(errorsOf(makeSelectorPolicy(match(...Array(4).fill({ action: "Post" }))))[0]).toBe(
      `${AT}.matchActions: has 4 entries: at most 3 are allowed`,
    );
  });
});

test("more filters than a hook can have are refused, per selector and in all", () => {
  const matchPIDs = Array(33).fill({ operator: "In", values: [1] });
  const selectors = [{ matchPIDs }, ...Array(4).fill({ matchPIDs: matchPIDs.slice(1) })];
  expect(errorsOf(makePolicy({ kprobes: [makeProbe({ selectors })] }))).toEqual([
    `${AT}: has 33 filters: at most 32 are allowed`,
    "spec.kprobes[0].selectors: have 161 filters: at most 96 are allowed",
  ]);
});

describe("order and macros", () => {
  const pid = { operator: "In", values: [1] };
  const namespace = { namespace: "Pid", operator: "In", values: ["1"] };
  const binary = { operator: "In", values: ["/bin/su"] };
  const arg = { index: 0, operator: "Equal", values: ["1"] };

  test("filters stand in the order of evaluation, whatever the order of the policy", () => {
    const capability = { operator: "In", values: ["CAP_BPF"] };
    const selector = {
      matchData: [arg],
      matchArgs: [arg],
      matchCredChanges: [{ fields: ["any"], change: "Raised" }],
      matchCurrentCred: [{ field: "uid", operator: "Equal", values: ["0"] }],
      matchParentBinaries: [binary],
      matchBinaries: [binary],
      matchCapabilityChanges: [capability],
      matchNamespaceChanges: [{ operator: "In", values: ["User"] }],
      matchCapabilities: [capability],
      matchNamespaces: [namespace, namespace],
      matchPIDs: [pid],
    };
    const { filters } = selectorOf(selector, {
      call: "security_task_fix_setuid",
      syscall: false,
      data: [{ index: 0, type: "int", source: "current_task", resolve: "pid" }],
    });
    expect(filters.map(({ match }) => match)).toEqual([
      "pid",
      "namespace",
      "namespace",
      "capability",
      "namespaceChange",
      "capabilityChange",
      "binary",
      "binary",
      "currentCred",
      "credChange",
      "arg",
      "arg",
    ]);
  });

  const withMacros = (selectorsMacros: Loose, selector: Loose) =>
    makePolicy({ selectorsMacros, kprobes: [makeProbe({ selectors: [selector] })] });

  test("macros are merged into the selector", () => {
    const policy = withMacros(
      { "a.b": { matchPIDs: [pid], label: "from macro" }, c: { matchActions: [{ action: "NoPost" }] } },
      { macros: ["c", "a.b"], matchArgs: [arg] },
    );
    expect(hooksOf(policy)[0]?.selectors).toEqual([
      {
        label: "from macro",
        filters: [expect.objectContaining({ match: "pid" }), expect.objectContaining({ match: "arg" })],
        actions: [{ action: "NoPost" }],
      },
    ]);
  });

  test.each([
    [
      "a macro that does not exist",
      { a: { matchPIDs: [pid] } },
      { macros: ["aa", "zzzz"] },
      [
        `${AT}.macros[0]: macro "aa" does not exist: did you mean "a"?`,
        `${AT}.macros[1]: macro "zzzz" does not exist: spec.selectorsMacros has a`,
      ],
    ],
    [
      "a name that every object has",
      { a: {} },
      { macros: ["toString"] },
      [`${AT}.macros[0]: macro "toString" does not exist: spec.selectorsMacros has a`],
    ],
    [
      "a macro that uses macros",
      { a: { macros: ["b"] }, b: {} },
      {},
      ["spec.selectorsMacros.a.macros: is not allowed: a macro cannot use other macros"],
    ],
    [
      "a part that selector and macro define",
      { "a.b": { matchPIDs: [pid] } },
      { matchPIDs: [pid], macros: ["a.b"] },
      [`${AT}.macros[0]: defines matchPIDs, which ${AT}.matchPIDs defines too: only one of them may`],
    ],
    [
      "a part that two macros define",
      { a: { label: "x" }, b: { label: "y" } },
      { macros: ["a", "b"] },
      [
        `${AT}.macros[1]: defines label, which spec.selectorsMacros.a.label defines too: only one of them may`,
      ],
    ],
    [
      "an error in a macro, at the macro",
      { "a.b": { matchPIDs: [{ ...pid, values: [-1] }] } },
      { macros: ["a.b"] },
      [`spec.selectorsMacros["a.b"].matchPIDs[0].values[0]: is -1: a process id is 0 or more`],
    ],
  ])("refuses %s", (_name, macros, selector, errors) => {
    expect(errorsOf(withMacros(macros, selector))).toEqual(errors);
  });
});
