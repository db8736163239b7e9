import { describe, expect, test } from "vitest";
import { argFilter, notRanges, ranges } from "../testing/filters.ts";
import {
  errorsOf,
  hooksOf,
  type Loose,
  makePolicy,
  makeProbe,
  makeSelectorPolicy,
  warningsOf,
} from "../testing/policies.ts";

const AT = "spec.kprobes[0].selectors[0]";

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

test.each(["Equal", "Postfix"])("%s of a type that is not read has one error, the type's", (operator) => {
  const probe = { call: "some_function", syscall: false, args: [{ index: 0, type: "data_loc" }] };
  expect(errorsOf(makeSelectorPolicy({ matchArgs: [{ index: 0, operator, values: ["0"] }] }, probe))).toEqual(
    [expect.stringContaining("args[0].type: the argument type data_loc is not supported")],
  );
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
      "index: there is no argument with index 1: the hook reads 2, 0, 3; args: [1] refers to args[1], parameter 0",
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
