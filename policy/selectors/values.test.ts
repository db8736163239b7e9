import { describe, expect, test } from "vitest";
import { argFilter, masks, notRanges, ranges } from "../testing/filters.ts";
import { makeSelectorPolicy, warningsOf } from "../testing/policies.ts";

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
      ["values[0]: 3000000000 is negative in a signed type: use uint32, or InRange 3000000001:4294967295"],
    ],
    [
      "LT of an unsigned spelling in a signed type",
      "int",
      "LT",
      ["0xb2d05e00"],
      ["values[0]: 0xb2d05e00 is negative in a signed type: use uint32, or InRange 0:2999999999"],
    ],
    ["GT the largest id", "int", "GT", [MAX32], [`values[0]: nothing is above ${MAX32} in this type`]],
    [
      "anything but every value",
      "uint32",
      "NotInRange",
      ["5:4294967295", "0:4"],
      ["values: name every value of the type: NotInRange never matches"],
    ],
    [
      "anything but every id",
      "int",
      "NotInMap",
      ["0:4294967295"],
      ["values: name every value of the type: NotInMap never matches"],
    ],
    [
      "a range from a negative number to an unsigned one",
      "int",
      "InRange",
      [`-1:${MAX32}`],
      [
        `values[0]: "-1:${MAX32}" begins as a signed number and ends as an unsigned one: write -1:2147483647, or use uint32 with 0:${MAX32}`,
      ],
    ],
    [
      "a range of ids that ends with -1",
      "int",
      "NotInRange",
      ["1000:-1"],
      [`values[0]: "1000:-1" is empty: 1000 is above -1: write 1000:${MAX32}`],
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

  const whole: [type: string, operator: string, ...values: string[]][] = [
    ["int", "InRange", `0:${MAX32}`],
    ["int8", "InRange", "-128:127"],
    ["uint8", "Equal", ...Array.from({ length: 256 }, (_, n) => String(n))],
    ["uint16", "InMap", "0:9", "10:65535"],
    ["int64", "InRange", "-9223372036854775808:-1", "0:9223372036854775807"],
    ["uint64", "InRange", `0:${MAX64}`],
  ];
  test.each(whole)("warns of %s %s %s, which is every value", (type, operator, ...values) => {
    const probe = { call: "some_function", syscall: false, args: [{ index: 0, type }] };
    expect(warningsOf(makeSelectorPolicy({ matchArgs: [{ index: 0, operator, values }] }, probe))).toEqual([
      `spec.kprobes[0].selectors[0].matchArgs[0].values: name every value of the type: ${operator} always matches, so leave the filter out`,
    ]);
  });

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
