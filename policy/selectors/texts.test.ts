import { describe, expect, test } from "vitest";
import {
  errorsOf,
  hooksOf,
  type Loose,
  makeProbePolicy,
  makeSelectorPolicy,
  warningsOf,
} from "../testing/policies.ts";
import { tableBytes } from "./substrings.ts";

const AT = "spec.kprobes[0].selectors[0]";
const policyOf = (type: string, operator: string, ...values: string[]): Loose => {
  const arg = { index: 0, type, ...(type === "char_buf" ? { sizeArgIndex: 2 } : {}) };
  const probe = { call: "some_function", syscall: false, args: [arg] };
  return makeSelectorPolicy({ matchArgs: [{ index: 0, operator, values }] }, probe);
};
const filterOf = (policy: Loose) => hooksOf(policy)[0]?.selectors[0]?.filters[0];
const text = (how: string, values: string[], negate = false) => ({
  match: "arg",
  arg: 0,
  negate,
  compare: "text",
  how,
  values,
});

const TEXTS = ["string", "filename", "char_buf", "const_buf"];
const FILES = ["fd", "file", "path", "dentry", "linux_binprm"];

describe.each([...TEXTS, ...FILES])("texts of the type %s", (type) => {
  test.each([
    ["Equal", "equal", false],
    ["NotEqual", "equal", true],
    ["Prefix", "prefix", false],
    ["NotPrefix", "prefix", true],
    ["Postfix", "postfix", false],
    ["NotPostfix", "postfix", true],
    ["SubString", "substring", false],
    ["SubStringIgnCase", "substringIgnoreCase", false],
  ])("%s", (operator, how, negate) => {
    const values = ["/a", "/b", "/a", "/c", "/d", "/e"];
    expect(filterOf(policyOf(type, operator, ...values))).toEqual(
      text(how, ["/a", "/b", "/c", "/d", "/e"], negate),
    );
  });

  test("a number's operator names those that fit", () => {
    const more = FILES.includes(type) ? ", FileType, NotFileType" : "";
    expect(errorsOf(policyOf(type, "GT", "1"))).toEqual([
      `${AT}.matchArgs[0].operator: GT does not fit the type ${type}: use Equal, NotEqual, Prefix, NotPrefix, Postfix, NotPostfix, SubString, SubStringIgnCase${more}`,
    ]);
  });
});

test("a NUL at the end of a value is upstream's way of writing a whole text", () => {
  expect(filterOf(policyOf("string", "Equal", "security.capability\0"))).toEqual(
    text("equal", ["security.capability"]),
  );
  expect(filterOf(policyOf("char_buf", "Prefix", "a\0b"))).toEqual(text("prefix", ["a\0b"]));
});

test("letters that are compared without case are those that the kernel's side knows", () => {
  expect(filterOf(policyOf("string", "SubStringIgnCase", "SuDoÄ", "sudoÄ"))).toEqual(
    text("substringIgnoreCase", ["sudoÄ"]),
  );
});

test.each([
  ["an empty text", "string", "Equal", [""], "values[0]: is empty: write a text"],
  ["only a NUL", "string", "Equal", ["\0"], "values[0]: is empty: write a text"],
  ["a NUL inside", "string", "Equal", ["a", "a\0b"], "values[1]: contains a NUL character: texts end there"],
  ["a long text, in bytes", "file", "Equal", ["é".repeat(2048)], "values[0]: is longer than 4095 bytes"],
  ["a long beginning", "string", "Prefix", ["x".repeat(4096)], "values[0]: is longer than 4095 bytes"],
  ["a long buffer", "char_buf", "Equal", ["x".repeat(256)], "values[0]: is longer than 255 bytes"],
  ["a long end", "string", "Postfix", ["x".repeat(128)], "values[0]: is longer than 127 bytes"],
  ["a long part", "string", "SubString", ["x".repeat(100)], "values[0]: is longer than 99 bytes"],
  [
    "a NUL in a part",
    "char_buf",
    "SubString",
    ["a\0"],
    "values[0]: contains a NUL character: texts end there",
  ],
  ["no text", "string", "Prefix", [], "values: is empty: Prefix needs at least one value"],
  [
    "101 texts",
    "string",
    "SubString",
    Array.from({ length: 101 }, (_, n) => `${n}`),
    "values: has 101 entries: at most 100 are allowed",
  ],
  [
    "a type of file of a string",
    "string",
    "FileType",
    ["regular"],
    "operator: FileType does not fit the type string: use Equal, NotEqual, Prefix, NotPrefix, Postfix, NotPostfix, SubString, SubStringIgnCase",
  ],
])("refuses %s", (_name, type, operator, values, error) => {
  expect(errorsOf(policyOf(type, operator, ...values))).toEqual([`${AT}.matchArgs[0].${error}`]);
});

test.each([
  ["file", "Equal", "etc/passwd", true],
  ["file", "Prefix", "etc/", true],
  ["file", "Postfix", "passwd", false],
  ["fd", "Prefix", "pipe:[", false],
  ["dentry", "Equal", "passwd", false],
  ["string", "Equal", "passwd", false],
])("%s %s %s: warns of a path that is not full: %s", (type, operator, value, warns) => {
  const warning = `${AT}.matchArgs[0].values[0]: ${JSON.stringify(value)} does not start with "/": files are compared by their full path`;
  expect(warningsOf(policyOf(type, operator, value))).toEqual(warns ? [warning] : []);
});

test.each([
  ["file", "Equal", "/etc/*", true],
  ["path", "Postfix", "*.so", true],
  ["string", "Equal", "*", false],
])("%s %s %s: warns of a pattern: %s", (type, operator, value, warns) => {
  const warning = `${AT}.matchArgs[0].values[0]: ${JSON.stringify(value)} is no pattern, "*" stands for itself: use Prefix or Postfix`;
  expect(warningsOf(policyOf(type, operator, value))).toEqual(warns ? [warning] : []);
});

const SH = "/usr/bin/dash or /usr/bin/bash or /usr/bin/busybox";
const BIN = "/bin is a link to /usr/bin";
test.each([
  ["file", "Equal", ["/bin/su"], BIN, "/usr/bin/su"],
  ["path", "NotPrefix", ["/lib/modules/"], "/lib is a link to /usr/lib", "/usr/lib/modules/"],
  ["fd", "Equal", ["/usr/bin/sh"], "/usr/bin/sh is a link", SH],
  ["linux_binprm", "Equal", ["/bin/sh"], BIN, SH],
  ["file", "Equal", ["/bin/su", "/usr/bin/su"], undefined, ""],
  ["string", "Equal", ["/bin/su"], undefined, ""],
  ["dentry", "Equal", ["/bin/su"], undefined, ""],
  ["file", "Postfix", ["/bin/su"], undefined, ""],
])("%s %s %j: warns of a path that leads through a link: %s", (type, operator, values, fact, file) => {
  const warning = `${AT}.matchArgs[0].values[0]: ${fact} on most images, and a file is compared by the path that links lead to: write ${file}`;
  expect(warningsOf(policyOf(type, operator, ...values))).toEqual(fact ? [warning] : []);
});

test.each([
  ["file", "Equal", "/etc/../etc/shadow", "/etc/shadow"],
  ["linux_binprm", "Postfix", "bin//su", "bin/su"],
  ["file", "SubString", "/./", undefined],
  ["string", "Equal", "/etc//shadow", undefined],
  ["file", "Equal", "pipe:[1]", undefined],
])("%s %s %s: warns of a path that no file has: %s", (type, operator, value, right) => {
  const warning = `${AT}.matchArgs[0].values[0]: "${value}" is not how the kernel writes a path: write "${right}"`;
  expect(warningsOf(policyOf(type, operator, value))).toEqual(right ? [warning] : []);
});

describe("FileType", () => {
  test.each(FILES)("of the type %s", (type) => {
    expect(filterOf(policyOf(type, "NotFileType", "regular", "dir", "S_IFLNK", "reg"))).toEqual({
      match: "arg",
      arg: 0,
      negate: true,
      compare: "fileType",
      types: ["regular", "directory", "symlink"],
    });
  });

  test.each([
    ["socket", ["socket"]],
    ["pipe", ["fifo"]],
    ["blk", ["block"]],
    ["Char", ["character"]],
  ])("knows %s", (value, types) => {
    expect(filterOf(policyOf("file", "FileType", value))).toMatchObject({ negate: false, types });
  });

  test("refuses another word", () => {
    expect(errorsOf(policyOf("file", "FileType", "regulr", "door"))).toEqual([
      `${AT}.matchArgs[0].values[0]: "regulr" is not a type of file: did you mean "regular"?`,
      `${AT}.matchArgs[0].values[1]: "door" is not a type of file: must be regular, directory, symlink, socket, fifo, block, character`,
    ]);
  });
});

describe("matchData and values at return", () => {
  const data = ["uid", "gid"].map((id, index) => ({
    index: 7 - index,
    type: "uint32",
    source: "current_task",
    resolve: `cred.${id}.val`,
  }));
  const matching = (entry: Loose, probe: Loose = { data }) =>
    makeSelectorPolicy({ matchData: [{ operator: "Equal", values: ["0"], ...entry }] }, probe);

  test.each([
    ["index is the position in data", { index: 1 }, 2],
    ["so is args", { args: [0] }, 1],
  ])("%s", (_name, entry, arg) => {
    expect(filterOf(matching(entry))).toMatchObject({ match: "arg", arg, compare: "range" });
  });

  const both = "and args are both given, and both are the position in data: keep one";
  test.each([
    [
      "a position that there is not",
      matching({ index: 2 }),
      "matchData[0].index: there is no entry 2: data has 2 entries, from 0",
    ],
    [
      "the same in args",
      matching({ args: [2] }),
      "matchData[0].args[0]: there is no position 2: data has 2 entries, from 0",
    ],
    [
      "data that is not read",
      matching({ index: 0 }, {}),
      "matchData[0].index: there is no entry 0: the hook reads no data, add it to data",
    ],
    ["both ways of counting", matching({ index: 0, args: [0] }), `matchData[0].index: ${both}`],
    [
      "six filters on arguments and data",
      makeSelectorPolicy(
        {
          matchArgs: Array(3).fill({ index: 0, operator: "Equal", values: ["0"] }),
          matchData: Array(3).fill({ index: 0, operator: "Equal", values: ["0"] }),
        },
        { data },
      ),
      "matchData: and matchArgs have 6 entries: at most 5 are allowed",
    ],
    [
      "a position of data in matchArgs",
      makeSelectorPolicy({ matchArgs: [{ args: [1], operator: "Equal", values: ["0"] }] }, { data }),
      "matchArgs[0].args[0]: there is no position 1: args has 1 entries, from 0",
    ],
    [
      "a value that is there at return only",
      makeSelectorPolicy(
        { matchArgs: [{ index: 1, operator: "Prefix", values: ["/"] }] },
        { call: "sys_readlink", args: [{ index: 1, type: "char_buf", returnCopy: true }] },
      ),
      "matchArgs[0]: compares a value with returnCopy: true, which is not there before the function returns",
    ],
  ])("refuse %s", (_name, policy, error) => {
    expect(errorsOf(policy)).toEqual([`${AT}.${error}`]);
  });
});

/** `count` texts of 99 bytes that have little in common. */
const manyTexts = (count: number) =>
  Array.from({ length: count }, (_, n) =>
    Array.from({ length: 99 }, (_, at) => String.fromCharCode(33 + ((n * 31 + at * (n + 7)) % 90))).join(""),
  );

test("long texts count as substrings do", () => {
  const long = (n: number) => ({ index: 0, operator: "Prefix", values: ["x".repeat(300 + n)] });
  const policy = (count: number) =>
    makeProbePolicy({
      call: "some_function",
      syscall: false,
      args: [{ index: 0, type: "string" }],
      selectors: Array.from({ length: Math.ceil(count / 5) }, (_, n) => ({
        matchArgs: Array.from({ length: Math.min(5, count - 5 * n) }, (_, m) => long(5 * n + m)),
      })),
    });
  expect(errorsOf(policy(20))).toEqual([]);
  expect(errorsOf(policy(21))).toEqual([
    "spec.kprobes[0].selectors: have 21 filters with SubString, SubStringIgnCase or texts longer than 255 bytes: at most 20 are possible",
  ]);
});

describe("substrings need tables", () => {
  test.each([
    [["a"], 256 + 2 * 2 * 4],
    [["ab", "ac"], 256 + 4 * 4 * 4],
    [["é"], 256 + 3 * 3 * 4],
  ])("%j: %i bytes", (values, bytes) => {
    expect(tableBytes(values)).toBe(bytes);
  });

  test("which are refused where they are too large", () => {
    const [error = ""] = errorsOf(policyOf("string", "SubString", ...manyTexts(100)));
    expect(error).toMatch(
      /^spec\.kprobes\[0\]\.selectors: have substrings whose tables take \d+ KiB, at most 2048 are/,
    );
    expect(errorsOf(policyOf("string", "SubString", ...manyTexts(40)))).toEqual([]);
  });
});
