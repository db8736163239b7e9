import { describe, expect, test } from "vitest";
import { compileParsed } from "./compile.ts";
import { parsePolicies } from "./parse.ts";
import type { PolicyError } from "./problems.ts";

const POLICY = `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: NAME
spec:
  kprobes:
    - call: sys_setuid
      args:
        - index: 0
          type: int
`;

const named = (name: string): string => POLICY.replace("NAME", name);

function print({ path, message, line, column }: PolicyError): string {
  return `${line}:${column} ${path}: ${message}`;
}

/** Names of the policies and the errors, one line each. */
function parse(text: string): { names: unknown[]; errors: string[]; invalid: number } {
  const { policies, errors, invalid } = parsePolicies(text, "file.yaml");
  const names = policies.map(({ object }) => (object.metadata as { name?: unknown }).name);
  return { names, errors: errors.map(print), invalid };
}

describe("bytes", () => {
  const bytes = (text: string) => Buffer.from(text, "latin1");
  const places: Record<string, [bytes: Uint8Array, error: string]> = {
    "Latin-1 in a comment": [bytes("a: 1\n# caf\xe9\n"), "2:6 : is not UTF-8: save it as UTF-8"],
    "a sequence that is cut off at the end of a line": [
      bytes("a: \xc3\nb: 1\n"),
      "1:4 : is not UTF-8: save it as UTF-8",
    ],
    "after a replacement character that is right": [
      bytes("a: \xef\xbf\xbd \xff\n"),
      "1:6 : is not UTF-8: save it as UTF-8",
    ],
    "as the last byte": [bytes("a: 1\nb\xff"), "2:2 : is not UTF-8: save it as UTF-8"],
    "UTF-16, little endian": [bytes("\xff\xfea\0:\0"), "1:1 : is UTF-16: save it as UTF-8"],
    "UTF-16 without a byte order mark": [bytes("a\0:\0"), "1:1 : is UTF-16: save it as UTF-8"],
    "UTF-16, big endian": [bytes("\xfe\xff\0a\0:"), "1:1 : is UTF-16: save it as UTF-8"],
  };
  test.each(Object.entries(places))("that are no UTF-8 are refused: %s", (_name, [content, error]) => {
    const { errors, invalid } = parsePolicies(content, "f");
    expect({ errors: errors.map(print), invalid }).toEqual({ errors: [error], invalid: 1 });
  });

  test("that are UTF-8 are read, with or without a byte order mark", () => {
    for (const mark of ["", "\ufeff"]) {
      const { policies, errors } = parsePolicies(
        Buffer.from(`${mark}# caf\u00e9 \ufffd\n${named("a")}`),
        "f",
      );
      expect([policies.length, errors]).toEqual([1, []]);
    }
  });
});

describe("line ends and characters that cannot be seen", () => {
  const text = named("a");
  const read: Record<string, string> = {
    "carriage returns alone": text.replaceAll("\n", "\r"),
    "carriage returns and line feeds": text.replaceAll("\n", "\r\n"),
    "each kind of line end": text.replace("\n", "\r").replace("\n", "\r\n"),
    "a comment that a carriage return ends": text.replace("name: a\n", "# its name\r  name: a\n"),
    "two byte order marks": `\ufeff\ufeff${text}`,
  };
  test.each(Object.entries(read))("%s are read as kubectl reads them", (_name, content) => {
    expect(parse(content)).toEqual({ names: ["a"], errors: [], invalid: 0 });
  });

  test("the byte order mark of a file that was appended to another is left out", () => {
    expect(parse(`${text}---\n\ufeff${named("b")}`).names).toEqual(["a", "b"]);
  });

  test("lines count from the start, whatever ends them", () => {
    const { errors } = parse(text.replace("call", "cal").replaceAll("\n", "\r"));
    expect(errors[0]).toBe(`7:7 spec.kprobes[0].cal: unknown field "cal": did you mean "call"?`);
  });

  const ends = "where a line ends for kubectl and not for others: write a line feed or a space";
  const refused: Record<string, [content: string, error: string]> = {
    "a next line": [
      text.replace("name: a", "name: a # x\x85  b"),
      `4:14 : has a next line (U+0085), ${ends}`,
    ],
    "a line separator in a value": [
      text.replace("sys_setuid", "sys_setuid\u2028"),
      `7:23 : has a line separator (U+2028), ${ends}`,
    ],
    "a paragraph separator": [`${text}# a\u2029b\n`, `11:4 : has a paragraph separator (U+2029), ${ends}`],
    "a NUL at the end": [
      `${text}\0`,
      "11:1 : has the control character U+0000, which YAML does not allow: take it out",
    ],
    "spaces that do not break as indentation": [
      text.replace("  kprobes", "\u00a0\u00a0kprobes"),
      String.raw`6:1 ["\u00a0\u00a0kprobes"]: unknown field "\u00a0\u00a0kprobes": allowed here are apiVersion, kind, metadata, spec, status`,
    ],
    "a space without width in a name": [
      named("a\u200b"),
      String.raw`4:3 metadata.name: "a\u200b" is not a name: lower-case letters, digits, "-" and ".", at most 253`,
    ],
  };
  test.each(Object.entries(refused))("%s is refused where it stands", (_name, [content, error]) => {
    expect(parse(content).errors).toContain(error);
  });

  test("a file that holds no policy may have any", () => {
    expect(parsePolicies("image: a # b\u2028c\n", "values.yaml", "skip")).toMatchObject({
      errors: [],
      skipped: 1,
    });
  });
});

describe("documents", () => {
  test("several in one file, with comments and empty ones between them", () => {
    const text = `# first\n---\n${named("a")}---\n# nothing here\n---\n${named("b")}...\n---\n`;
    expect(parse(text)).toEqual({ names: ["a", "b"], errors: [], invalid: 0 });
  });

  test("a broken one does not hide the others, and lines count from the start of the file", () => {
    const text = `${named("a")}---\n${named("b").replace("call:", "cal:")}---\n${named("c")}`;
    expect(parse(text)).toEqual({
      names: ["a", "c"],
      errors: [
        `18:7 spec.kprobes[0].cal: unknown field "cal": did you mean "call"?`,
        `18:7 spec.kprobes[0].call: "call" is missing: Function name, sys_NAME for a system call, or list:NAME.`,
      ],
      invalid: 1,
    });
  });

  const empty = "1:1 : is empty: there is no policy in it";
  const refused: Record<string, [text: string, errors: string[]]> = {
    "an empty file": ["", [empty]],
    "a file of comments": ["# nothing\n\n# more\n", [empty]],
    "a file of separators": ["---\n---\n", [empty]],
    "a file that says null": ["null\n", [empty]],
    "a plain text": [
      "hello\n",
      ["1:1 : is not a policy: expected apiVersion, kind, metadata and spec, found a plain text"],
    ],
    "a list": [
      "- a\n",
      ["1:1 : is not a policy: expected apiVersion, kind, metadata and spec, found a list"],
    ],
    "a number": [
      "5\n",
      ["1:1 : is not a policy: expected an object with apiVersion, kind, metadata and spec"],
    ],
    "binary data": [
      "\u0000\u0001\u0002",
      ["1:1 : has the control character U+0000, which YAML does not allow: take it out"],
    ],
    "a tab as indentation": [
      "a:\n\tb: 1\n",
      [expect.stringMatching(/^2:1 : is not YAML: Tabs are not allowed/) as string],
    ],
    "an unclosed quote": [
      `a: "b\n`,
      [expect.stringMatching(/^2:1 : is not YAML: Missing closing/) as string],
    ],
    "a key twice": ["a: 1\na: 2\n", [`2:1 a: "a" stands here a second time`]],
    "a key that is a list": ["[a]: 1\n", ["1:1 : has a key that is not a text"]],
    "a label that is a number": [
      named("a").replace("metadata:", "metadata:\n  labels: { team: 7 }"),
      [`4:13 metadata.labels.team: must be a text, is 7: write it in quotes, "7"`],
    ],
    "annotations that are a list": [
      named("a").replace("metadata:", "metadata:\n  annotations: [a]"),
      [`4:3 metadata.annotations: must be an object: write KEY: "VALUE" below it`],
    ],
    "a template": [
      named("a").replace("spec:", "{{- if .Values.uids }}\nspec:").concat("{{- end }}\n"),
      ["5:1 : is a template, not YAML: render it first, for example with `helm template`"],
    ],
    "a template that is YAML": [
      named("{{ .Values.name }}"),
      ["4:9 : is a template, not YAML: render it first, for example with `helm template`"],
    ],
    "an alias of nothing": ["a: *b\n", [expect.stringMatching(/b/) as string]],
    "another kind": [
      "apiVersion: v1\nkind: Pod\n",
      [`2:1 kind: kind "Pod" is not a policy: must be TracingPolicy or TracingPolicyNamespaced`],
    ],
  };

  test.each(Object.entries(refused))("%s is refused", (_name, [text, errors]) => {
    expect(parse(text)).toEqual({ names: [], errors, invalid: 1 });
  });

  test("aliases are followed", () => {
    const text = named("a")
      .replace("args:", "args: &args")
      .concat("    - call: sys_setgid\n      args: *args\n");
    const { policies, errors } = parsePolicies(text, "f");
    expect(errors).toEqual([]);
    expect(policies[0]?.object.spec.kprobes?.map(({ args }) => args?.length)).toEqual([1, 1]);
  });

  describe("<<", () => {
    const BASE = `\
  kprobes:
    - &base
      call: sys_setuid
      tags: [first]
    - &other { call: sys_setgid, message: other }
`;
    const probes = (entry: string) => {
      const text = named("a").replace(/ {2}kprobes:.*/s, `${BASE}    - ${entry}\n`);
      const { policies, errors } = parsePolicies(text, "f");
      const probe = policies[0]?.object.spec.kprobes?.[2];
      return errors.length > 0 ? errors.map(print) : [probe?.call, probe?.tags, probe?.message];
    };

    test.each([
      ["brings the members of another object", "<<: *base", ["sys_setuid", ["first"], undefined]],
      ["leaves those that the object has itself", "{<<: *base, call: x}", ["x", ["first"], undefined]],
      ["takes a list, of which the first counts", "<<: [*base, *other]", ["sys_setuid", ["first"], "other"]],
      ["takes an object", "<<: {call: x}", ["x", undefined, undefined]],
      ["goes on from object to object", "<<: {<<: *base, call: x}", ["x", ["first"], undefined]],
    ])("%s", (_name, entry, want) => {
      expect(probes(entry)).toEqual(want);
    });

    test.each([
      [
        "a text",
        "{<<: text, call: x}",
        `11:12 spec.kprobes[2]["<<"]: must be an object or a list of objects: write *NAME`,
      ],
      ["itself", "&me {<<: *me}", `11:16 spec.kprobes[2]["<<"]: contains itself`],
      [
        "what stands before it already",
        "{call: x, <<: *base}",
        `11:8 spec.kprobes[2].call: stands before "<<", which brings another "call": write "<<" first`,
      ],
      [
        "to be anything else in quotes",
        `{"<<": *base, call: x}`,
        expect.stringMatching(/unknown field "<<"/),
      ],
    ])("refuses %s", (_name, entry, error) => {
      expect(probes(entry)).toEqual([error]);
    });

    test("has an end where every object brings ten others", () => {
      const levels = Array.from(
        { length: 12 },
        (_, n) => `l${n + 1}: &l${n + 1} {<<: [${Array(10).fill(`*l${n}`).join(", ")}]}`,
      );
      const { errors } = parsePolicies(`l0: &l0 {}\n${levels.join("\n")}\n`, "f");
      expect(errors.map(({ message }) => message)).toEqual(["has more than 100000 values"]);
    });
  });

  test("a large text that is wrong on every line is refused", () => {
    const { errors, invalid } = parsePolicies("a: b\n".repeat(150_000), "f");
    expect(invalid).toBe(1);
    expect(errors.at(-1)?.message).toBe("has more than 100000 values");
  });

  test("an alias inside of itself is refused", () => {
    expect(parse(`${named("a")}  lists: &l\n    - *l\n`).invalid).toBe(1);
  });

  test("a small text that unfolds to a large one is refused", () => {
    const levels = Array.from(
      { length: 12 },
      (_, n) => `l${n + 1}: &l${n + 1} [${Array(10).fill(`*l${n}`).join(", ")}]`,
    );
    const { errors } = parsePolicies(`l0: &l0 [a]\n${levels.join("\n")}\n`, "f");
    expect(errors.map(({ message }) => message)).toEqual(["has more than 100000 values"]);
  });

  test("a text that nests without end is refused", () => {
    const { errors } = parsePolicies("[".repeat(20_000), "f");
    expect(errors[0]?.message).toBe("nests too deeply");
    expect(
      parsePolicies(`a:\n${Array.from({ length: 3000 }, (_, n) => `${" ".repeat(n + 1)}a:\n`).join("")}`, "f")
        .invalid,
    ).toBe(1);
  });

  test("JSON is YAML", () => {
    const text = JSON.stringify({
      apiVersion: "cilium.io/v1alpha1",
      kind: "TracingPolicy",
      metadata: { name: "json" },
      spec: { kprobes: [{ call: "sys_setuid" }] },
    });
    expect(parse(text)).toEqual({ names: ["json"], errors: [], invalid: 0 });
  });

  test("Windows line ends and a byte order mark are fine", () => {
    expect(parse(`\uFEFF${named("a").replaceAll("\n", "\r\n")}`)).toEqual({
      names: ["a"],
      errors: [],
      invalid: 0,
    });
  });
});

describe("kind: List", () => {
  const indented = (text: string) => text.replace(/^(?=.)/gm, "  ").replace(/^ {2}/, "- ");
  const list = (...items: string[]) =>
    `apiVersion: v1\nitems:\n${items.map(indented).join("")}kind: List\nmetadata:\n  resourceVersion: ""\n`;

  test("is read item by item, with what the API server adds to each", () => {
    const applied = named("a").replace(
      "metadata:\n",
      "metadata:\n  creationTimestamp: '2026-11-25T12:00:00Z'\n  generation: 1\n  resourceVersion: '5'\n  uid: x\n",
    );
    const text = list(`${applied}status:\n  conditions: []\n`, named("b"));
    expect(parse(text)).toEqual({ names: ["a", "b"], errors: [], invalid: 0 });
  });

  test("is read beside other documents, as JSON, inside of another, and with keys in any case", () => {
    const policy = {
      apiVersion: "cilium.io/v1alpha1",
      kind: "TracingPolicy",
      metadata: { name: "json" },
      spec: { kprobes: [{ call: "sys_setuid" }] },
    };
    const json = JSON.stringify({ apiVersion: "v1", kind: "List", items: [policy] });
    const text = [named("a"), list(named("b")), json, list(list(named("c"))), list(named("d"))].join(
      "\n---\n",
    );
    expect(parse(text.replace(/items:(?!.*items:)/s, "Items:"))).toEqual({
      names: ["a", "b", "json", "c", "d"],
      errors: [],
      invalid: 0,
    });
  });

  test("and so is a list of policies, whose items need no kind", () => {
    const bare = named("b").replace(/^apiVersion.*\nkind.*\n/, "");
    const text = (kind: string) =>
      list(named("a"), bare).replace("kind: List", `kind: ${kind}`).replace("v1", "cilium.io/v1alpha1");
    for (const kind of ["TracingPolicyList", "TracingPolicyNamespacedList"])
      expect(parse(text(kind))).toEqual({ names: ["a", "b"], errors: [], invalid: 0 });
    expect(parse(text("TracingPolicyList").replace("call:", "cal:")).errors).toHaveLength(2);
    expect(parse(text("PodList")).invalid).toBe(1);
  });

  test("an error of an item has its place and its path in the file, and the other items are read", () => {
    const wrong = named("b").replace("call:", "cal:");
    expect(parse(list(named("a"), wrong, named("c")))).toEqual({
      names: ["a", "c"],
      errors: [
        `19:9 items[1].spec.kprobes[0].cal: unknown field "cal": did you mean "call"?`,
        `19:9 items[1].spec.kprobes[0].call: "call" is missing: Function name, sys_NAME for a system call, or list:NAME.`,
      ],
      invalid: 1,
    });
  });

  test("so has an error of the compiler, and a warning", () => {
    const noisy = named("b")
      .replace("sys_setuid", "commit_creds\n      syscall: false")
      .replace("type: int", "type: cred");
    const { policies } = parsePolicies(list(named("a").replace("sys_setuid", "setuid"), noisy), "f");
    const results = policies.map(compileParsed);
    const said = results.flatMap((result) => [...(result.ok ? [] : result.errors), ...result.warnings]);
    expect(said.map(print)).toEqual([
      expect.stringMatching(/^9:9 items\[0\]\.spec\.kprobes\[0\]\.call: "setuid" is not written like/),
      expect.stringMatching(/^19:9 items\[1\]\.spec\.kprobes\[0\]\.call: commit_creds runs at every exec/),
    ]);
  });

  const other = `is not a policy: must be TracingPolicy or TracingPolicyNamespaced`;
  const refused: Record<string, [text: string, errors: string[], invalid?: number]> = {
    "an item of another kind": [
      list("apiVersion: v1\nkind: Pod\n"),
      [`4:3 items[0].kind: kind "Pod" ${other}`],
    ],
    "an item that is a text, and one that is nothing": [
      "apiVersion: v1\nkind: List\nitems: [text, ~]\n",
      [
        "3:9 items[0]: is not a policy: expected apiVersion, kind, metadata and spec, found a plain text",
        "3:15 items[1]: is not a policy: expected an object with apiVersion, kind, metadata and spec",
      ],
      2,
    ],
    "an item of another kind in a list in a list": [
      list(list("apiVersion: v1\nkind: Pod\n")),
      [`6:5 items[0].items[0].kind: kind "Pod" ${other}`],
    ],
    "a list of no items": [
      "apiVersion: v1\nitems: []\nkind: List\n",
      ["2:1 items: is empty: there is no policy in it"],
    ],
    "a list without items": [
      "apiVersion: v1\nkind: List\n",
      ["1:1 items: is empty: there is no policy in it"],
    ],
    "items that are no list": [
      "apiVersion: v1\nkind: List\nitems: {}\n",
      ["3:1 items: must be a list, is an object"],
    ],
    "a list of another version": [
      list(named("a")).replace("v1", "v2"),
      [`1:1 apiVersion: "v2" is not known: must be v1`],
    ],
    "a list without a version": [
      "kind: List\nitems: []\n",
      [`1:1 apiVersion: "apiVersion" is missing: must be v1`],
    ],
    "a field that lists do not have": [
      "apiVersion: v1\nkind: List\nitem: []\n",
      [
        `3:1 item: unknown field "item": did you mean "items"?`,
        "1:1 items: is empty: there is no policy in it",
      ],
    ],
  };

  test.each(Object.entries(refused))("%s is refused", (_name, [text, errors, invalid = 1]) => {
    expect(parse(text)).toEqual({ names: [], errors, invalid });
  });
});

describe("keys and values", () => {
  test("keys match in any case, and come out in the schema's", () => {
    const text = named("a")
      .replace("kind:", "Kind:")
      .replace("kprobes:", "KProbes:")
      .concat(
        "      Selectors:\n        - matchPids:\n            - OPERATOR: In\n              followforks: true\n              values: [1]\n",
      );
    const { policies, errors } = parsePolicies(text, "f");
    expect(errors).toEqual([]);
    expect(policies[0]?.object.spec.kprobes?.[0]?.selectors).toEqual([
      { matchPIDs: [{ operator: "In", followForks: true, values: [1], isNamespacePID: false }] },
    ]);
  });

  test("an error below such a key has the place in the file", () => {
    const text = named("a").concat(
      "      Selectors:\n        - matchPids:\n            - operator: In\n              values: [1, -1]\n",
    );
    const [policy] = parsePolicies(text, "f").policies;
    const result = policy && compileParsed(policy);
    expect(result?.ok === false && result.errors.map(print)).toEqual([
      "14:27 spec.kprobes[0].selectors[0].matchPIDs[0].values[1]: is -1: a process id is 0 or more",
    ]);
  });

  test("one field in two spellings is refused", () => {
    expect(parse(named("a").concat("      Call: sys_setgid\n")).errors).toEqual([
      `11:7 spec.kprobes[0].Call: "Call" sets "call" a second time`,
    ]);
  });

  test("defaults are applied", () => {
    const [policy] = parsePolicies(named("a"), "f").policies;
    expect(policy?.object.spec.kprobes?.[0]).toMatchObject({
      syscall: true,
      return: false,
      args: [{ index: 0, type: "int", maxData: false, resolve: "", returnCopy: false }],
    });
  });

  test("the booleans of YAML 1.1 are booleans, as for kubectl", () => {
    const text = named("a")
      .replace("call: sys_setuid", "call: commit_creds\n      syscall: no")
      .replace("type: int", "type: cred");
    const [policy] = parsePolicies(text, "f").policies;
    expect(policy?.object.spec.kprobes?.[0]?.syscall).toBe(false);
  });

  test.each([
    ["010", 8],
    ["0o17", 15],
    ["0b11", 3],
    ["0x1F", 31],
    ["1_000", 1000],
    ["-0x10", -16],
    ["08", 8],
    ["0", 0],
    ['!!int "7"', 7],
  ])("the number %s is what it is for kubectl", (text, value) => {
    const action = `{action: Override, argError: ${text}}`;
    const { policies } = parsePolicies(
      named("a").concat(`      selectors: [{matchActions: [${action}]}]\n`),
      "f",
    );
    expect(policies[0]?.object.spec.kprobes?.[0]?.selectors?.[0]?.matchActions?.[0]?.argError).toBe(value);
  });

  test("a name that YAML takes for a number is named", () => {
    expect(parse(named("2023")).errors).toEqual([
      "4:3 metadata.name: must be a text, is 2023: write the name in quotes",
    ]);
    expect(parse(named('"2023"')).errors).toEqual([]);
  });

  test("a field without a value counts as absent", () => {
    expect(parse(named("a").concat("      selectors:\n      message: ~\n")).errors).toEqual([]);
  });

  test("a word that YAML takes for a boolean or a number is named", () => {
    expect(parse(named("a").replace("sys_setuid", "on")).errors).toEqual([
      `7:7 spec.kprobes[0].call: must be a text, is true: write it in quotes, "true" or the word that stands here: YAML reads on, y and yes as true`,
    ]);
    expect(parse(named("a").replace("index: 0", `index: "0"`)).errors).toEqual([
      "9:11 spec.kprobes[0].args[0].index: must be an integer, is a text: write 0 without quotes",
    ]);
  });

  test("labels may have dots, slashes and any case", () => {
    const text = named("a").concat(
      `  nodeSelector:\n    matchLabels:\n      Example.com/Zone: "b"\n      example.com/zone: "c d"\n`,
    );
    expect(parse(text).errors).toEqual([
      expect.stringMatching(
        /^14:7 spec\.nodeSelector\.matchLabels\["example\.com\/zone"\]: "c d" is not a label value/,
      ),
    ]);
  });

  test("__proto__ is a key like any other", () => {
    expect(parse(named("a").concat("  __proto__:\n    kprobes: []\n")).errors).toEqual([
      expect.stringMatching(/^11:3 spec\.__proto__: unknown field "__proto__"/),
    ]);
    expect(parse(named("a").concat("  selectorsMacros:\n    __proto__:\n      label: x\n")).errors).toEqual(
      [],
    );
  });

  test("an integer that does not fit is refused", () => {
    expect(parse(named("a").replace("index: 0", "index: 99999999999")).errors).toEqual([
      "9:11 spec.kprobes[0].args[0].index: 99999999999 does not fit a 32-bit integer",
    ]);
    expect(parse(named("a").replace("index: 0", "index: 1.5")).errors).toEqual([
      "9:11 spec.kprobes[0].args[0].index: must be an integer, is a number",
    ]);
  });
});
