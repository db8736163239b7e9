import { describe, expect, test } from "vitest";
import { CRED_CHANGE_FIELDS } from "../../crds/schema/words.ts";
import { compilePolicy } from "../compile.ts";
import {
  errorsOf,
  hooksOf,
  type Loose,
  makePolicy,
  makeSelectorPolicy,
  warningsOf,
} from "../testing/policies.ts";

const AT = "spec.kprobes[0].selectors[0]";
const MAX = "4294967295";

describe("matchCurrentCred", () => {
  const current = (field: string, operator: string, ...values: string[]) =>
    makeSelectorPolicy({ matchCurrentCred: [{ field, operator, values }] });
  const filterOf = (policy: Loose) => hooksOf(policy)[0]?.selectors[0]?.filters[0];

  test.each([
    ["uid", "InRange", `root:${MAX}`],
    ["noNewPrivs", "Equal", "0", "1"],
  ])("warns of %s %s %s, which is every value", (field, operator, ...values) => {
    expect(warningsOf(current(field, operator, ...values))).toEqual([
      `${AT}.matchCurrentCred[0].values: name every value of ${field}: ${operator} always matches, so leave the filter out`,
    ]);
  });

  test.each<[field: string, operator: string, values: string[], negate: boolean, ranges: [string, string][]]>(
    [
      ["uid", "Equal", ["root"], false, [["0", "0"]]],
      [
        "euid",
        "NotEqual",
        ["0", "1", "7"],
        true,
        [
          ["0", "1"],
          ["7", "7"],
        ],
      ],
      ["suid", "InRange", ["1000:60000"], false, [["1000", "60000"]]],
      ["fsuid", "InRange", ["2147483648:4294967294"], false, [["2147483648", "4294967294"]]],
      [
        "gid",
        "NotInRange",
        ["root:999", "0x10000:0x1ffff"],
        true,
        [
          ["0", "999"],
          ["65536", "131071"],
        ],
      ],
      ["egid", "Equal", ["027"], false, [["23", "23"]]],
      ["auid", "Equal", ["unset"], false, [[MAX, MAX]]],
      ["auid", "InRange", ["1000:unset"], false, [["1000", MAX]]],
      ["securebits", "Equal", ["KEEP_CAPS"], false, [["16", "16"]]],
      ["securebits", "Equal", ["SECURE_NOROOT, secbitkeepcapslocked"], false, [["33", "33"]]],
      ["securebits", "NotEqual", ["0"], true, [["0", "0"]]],
      ["noNewPrivs", "Equal", ["1"], false, [["1", "1"]]],
      ["userNamespaceLevel", "InRange", ["1:32"], false, [["1", "32"]]],
    ],
  )("%s %s %j", (field, operator, values, negate, ranges) => {
    expect(filterOf(current(field, operator, ...values))).toEqual({
      match: "currentCred",
      negate,
      field,
      ranges,
    });
  });

  test("several entries are several filters", () => {
    const entry = { field: "uid", operator: "Equal", values: ["0"] };
    const policy = makeSelectorPolicy({ matchCurrentCred: [entry, { ...entry, field: "auid" }] });
    expect(hooksOf(policy)[0]?.selectors[0]?.filters).toMatchObject([{ field: "uid" }, { field: "auid" }]);
  });

  test.each<[name: string, field: string, operator: string, values: string[], error: string]>([
    ["no values", "uid", "Equal", [], "values: is empty: Equal needs at least one value"],
    [
      "a name of a user",
      "uid",
      "Equal",
      ["www-data"],
      `values[0]: "www-data" is not a value of uid: write a number or root`,
    ],
    [
      "unset where nothing is unset",
      "uid",
      "Equal",
      ["unset"],
      `values[0]: "unset" is not a value of uid: write a number or root`,
    ],
    ["-1", "auid", "NotEqual", ["-1"], "values[0]: -1 is out of range of auid: 0 to 4294967295: write unset"],
    ["-1 of a user", "uid", "NotEqual", ["0", "-1"], "values[1]: -1 is out of range of uid: 0 to 4294967295"],
    [
      "33 bits",
      "gid",
      "Equal",
      ["4294967296"],
      "values[0]: 4294967296 is out of range of gid: 0 to 4294967295",
    ],
    ["a flag of 2", "noNewPrivs", "Equal", ["2"], "values[0]: 2 is out of range of noNewPrivs: 0 to 1"],
    [
      "a word for a flag",
      "noNewPrivs",
      "Equal",
      ["yes"],
      `values[0]: "yes" is not a value of noNewPrivs: write a number`,
    ],
    [
      "a depth that there is not",
      "userNamespaceLevel",
      "Equal",
      ["33"],
      "values[0]: 33 is out of range of userNamespaceLevel: 0 to 32",
    ],
    [
      "a number for a range",
      "uid",
      "InRange",
      ["5"],
      `values[0]: "5" is not a range: write min:max, both included`,
    ],
    [
      "an open range",
      "uid",
      "InRange",
      ["5:"],
      `values[0]: "" is not a value of uid: write a number or root`,
    ],
    [
      "an empty range",
      "auid",
      "InRange",
      ["unset:0"],
      `values[0]: "unset:0" is empty: 4294967295 is above 0`,
    ],
    [
      "a range for Equal",
      "uid",
      "Equal",
      ["1:2"],
      `values[0]: "1:2" is not a value of uid: write a number or root`,
    ],
    [
      "a securebit that there is not",
      "securebits",
      "Equal",
      ["NOROT"],
      `values[0]: "NOROT" is not a securebit: did you mean "NOROOT"?`,
    ],
    [
      "a member of every object",
      "auid",
      "Equal",
      ["toString"],
      `values[0]: "toString" is not a value of auid: write a number or root, unset`,
    ],
    [
      "another field",
      "loginuid",
      "Equal",
      ["0"],
      `field: "loginuid" is not allowed: use auid (allowed: uid, euid, suid, fsuid, gid, egid, sgid, fsgid, auid, securebits, noNewPrivs, userNamespaceLevel)`,
    ],
    [
      "another operator",
      "uid",
      "GT",
      ["0"],
      `operator: "GT" is not allowed (allowed: Equal, NotEqual, InRange, NotInRange)`,
    ],
    [
      "anything but every value",
      "auid",
      "NotInRange",
      ["0:unset"],
      "values: name every value of auid: NotInRange never matches",
    ],
    [
      "anything but yes and no",
      "noNewPrivs",
      "NotEqual",
      ["0", "1"],
      "values: name every value of noNewPrivs: NotEqual never matches",
    ],
    [
      "too many ranges",
      "uid",
      "Equal",
      Array.from({ length: 65 }, (_, n) => String(2 * n)),
      "values: makes 65 ranges: at most 64 are allowed",
    ],
  ])("refuses %s", (_name, field, operator, values, error) => {
    expect(errorsOf(current(field, operator, ...values))).toEqual([`${AT}.matchCurrentCred[0].${error}`]);
  });
});

describe("matchCredChanges", () => {
  const change = (entry: Loose, call = "commit_creds") =>
    makeSelectorPolicy(
      { matchCredChanges: [{ fields: ["uid"], change: "Raised", ...entry }] },
      { call, syscall: call.startsWith("sys_"), args: [] },
    );
  const filterOf = (policy: Loose) => hooksOf(policy)[0]?.selectors[0]?.filters[0];

  test.each(["Changed", "Raised", "Dropped"])("knows %s", (how) => {
    expect(filterOf(change({ change: how }))).toEqual({ match: "credChange", fields: ["uid"], change: how });
  });

  test("any is every field, and each field stands once, in the order of the record", () => {
    expect(filterOf(change({ fields: ["any", "uid"] }))).toMatchObject({ fields: [...CRED_CHANGE_FIELDS] });
    expect(filterOf(change({ fields: ["groups", "euid", "groups"] }))).toMatchObject({
      fields: ["euid", "groups"],
    });
  });

  test.each([
    "commit_creds",
    "override_creds",
    "security_task_fix_setgroups",
    "security_bprm_committing_creds",
  ])("fits %s", (call) => {
    expect(filterOf(change({}, call))).toMatchObject({ match: "credChange" });
  });

  test("fits LSM hooks by their own names", () => {
    const selectors = [{ matchCredChanges: [{ fields: ["any"], change: "Raised" }] }];
    expect(hooksOf(makePolicy({ lsmhooks: [{ hook: "task_fix_setuid", selectors }] }))).toHaveLength(1);
    expect(errorsOf(makePolicy({ lsmhooks: [{ hook: "userns_create", selectors }] }))).toEqual([
      "spec.lsmhooks[0].selectors[0].matchCredChanges[0]: does not fit userns_create, which receives no new credentials: LSM hooks that do are capset, task_fix_setuid, task_fix_setgid, task_fix_setgroups, bprm_committing_creds",
    ]);
  });

  const functions =
    "commit_creds, override_creds, security_task_fix_setuid, security_task_fix_setgid, security_task_fix_setgroups, security_bprm_committing_creds";
  test("security_capset has no new credentials yet", () => {
    expect(errorsOf(change({}, "security_capset"))).toEqual([
      expect.stringContaining(
        "does not fit security_capset, which is called before there are new credentials",
      ),
    ]);
  });

  test("noNewPrivs is accepted with a warning", () => {
    const { warnings } = compilePolicy(change({ fields: ["noNewPrivs"] }));
    expect(warnings[0]?.message).toContain("match prctl with 38");
  });

  test.each([
    ["no fields", change({ fields: [] }), ".fields: is empty: name fields, or any"],
    [
      "another function",
      change({}, "create_user_ns"),
      `: does not fit create_user_ns, which receives no new credentials: functions that do are ${functions}`,
    ],
    [
      "a system call",
      change({}, "sys_setuid"),
      `: does not fit sys_setuid, which receives no new credentials: functions that do are ${functions}`,
    ],
    [
      "another word",
      change({ change: "All" }),
      `.change: "All" is not allowed (allowed: Changed, Raised, Dropped)`,
    ],
  ])("refuses %s", (_name, policy, error) => {
    expect(errorsOf(policy)).toEqual([`${AT}.matchCredChanges[0]${error}`]);
  });

  test("names the function of a list that receives none", () => {
    const policy = makePolicy({
      lists: [{ name: "l", values: ["commit_creds", "create_user_ns"] }],
      kprobes: [
        {
          call: "list:l",
          syscall: false,
          selectors: [{ matchCredChanges: [{ fields: ["uid"], change: "Raised" }] }],
        },
      ],
    });
    expect(errorsOf(policy)).toEqual([
      `${AT}.matchCredChanges[0]: does not fit create_user_ns, which receives no new credentials: functions that do are ${functions}`,
    ]);
  });
});
