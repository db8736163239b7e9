import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { encodeHookSpec, type HookSpec, hookSpecHash, parseHookSpec } from "../crds/hook-spec.ts";
import { type CompileResult, compileParsed, compilePolicy } from "./compile.ts";
import { parsePolicies } from "./parse.ts";
import type { PolicyError } from "./problems.ts";

const EXAMPLES = join(import.meta.dirname, "../crds/examples");

function filesOf(directory: string): [name: string, text: string][] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(".yaml"))
    .sort()
    .map((name) => [name, readFileSync(join(directory, name), "utf8")]);
}

/** The result of a file with one policy. */
function compileText(text: string): CompileResult {
  const { policies, errors } = parsePolicies(text, "file");
  const [policy] = policies;
  if (!policy || errors.length > 0) return { ok: false, errors, warnings: [] };
  expect(policies).toHaveLength(1);
  return compileParsed(policy);
}

function specOf(text: string): HookSpec {
  const result = compileText(text);
  if (!result.ok) throw new Error(JSON.stringify(result.errors));
  return result.spec;
}

function print({ path, message, line, column }: PolicyError): string {
  return `${line}:${column} ${path === "" ? "" : `${path}: `}${message}`;
}

describe("valid examples", () => {
  const files = filesOf(join(EXAMPLES, "valid"));

  test.each(files)("%s compiles without a warning, and an agent takes what comes out", (_name, text) => {
    const result = compileText(text);
    expect(result).toMatchObject({ ok: true, warnings: [] });
    if (!result.ok) return;
    expect(parseHookSpec(encodeHookSpec(result.spec))).toEqual({ ok: true, spec: result.spec });
    expect(result.hash).toBe(hookSpecHash(result.spec));
  });

  test.each(files)("%s compiles to the same spec as an object of the API server", (_name, text) => {
    const result = compilePolicy(parse(text));
    expect(result.ok && result.spec).toEqual(specOf(text));
  });

  test("process.credentials.changes.at.syscalls hooks the eight system calls outside the host", () => {
    const spec = specOf(
      readFileSync(join(EXAMPLES, "valid/process.credentials.changes.at.syscalls.yaml"), "utf8"),
    );
    expect(spec.policy).toEqual({ kind: "TracingPolicy", name: "process.credentials.changes.at.syscalls" });
    const calls = [
      "setuid",
      "setgid",
      "setreuid",
      "setregid",
      "setresuid",
      "setresgid",
      "setfsuid",
      "setfsgid",
    ];
    expect(spec.hooks.map(({ call, args }) => `${call}/${args.length}`)).toEqual(
      calls.map((call) => `sys_${call}/${call.includes("res") ? 3 : call.includes("re") ? 2 : 1}`),
    );
    for (const hook of spec.hooks) {
      expect(hook).toMatchObject({ section: "kprobes", syscall: true, ignoreCallNotFound: false });
      expect(hook.args.map(({ index, type }) => `${index} ${type}`)).toEqual(
        hook.args.map((_, n) => `${n} int`),
      );
      expect(hook.selectors).toEqual([
        {
          filters: [{ match: "namespace", negate: true, namespace: "Pid", values: ["host_ns"] }],
          actions: [],
        },
      ]);
    }
  });

  test("process-creds-installed hooks commit_creds with a rate limit", () => {
    expect(specOf(readFileSync(join(EXAMPLES, "valid/process-creds-installed.yaml"), "utf8"))).toEqual({
      version: 1,
      policy: { kind: "TracingPolicy", name: "process-creds-changed" },
      hooks: [
        {
          path: "spec.kprobes[0]",
          section: "kprobes",
          call: "commit_creds",
          syscall: false,
          ignoreCallNotFound: false,
          args: [{ index: 0, type: "cred" }],
          selectors: [
            {
              filters: [{ match: "namespace", negate: true, namespace: "Pid", values: ["host_ns"] }],
              actions: [{ action: "Post", rateLimit: { intervalMs: 60000, scope: "thread" } }],
            },
          ],
        },
      ],
    });
  });
});

describe("invalid examples", () => {
  const files = filesOf(join(EXAMPLES, "invalid"));
  const refused = files.filter(([, text]) => text.startsWith("# Refused by "));

  test("all but two say in their first line how they are refused", () => {
    const others = files.filter((file) => !refused.includes(file)).map(([name]) => name);
    expect(others).toEqual(["empty-file.yaml", "function-not-in-kernel.yaml"]);
    expect(refused.length).toBeGreaterThan(30);
  });

  test.each(refused)("%s is refused at the place and with the words of its first line", (_name, text) => {
    const expected = text.slice(text.indexOf(", at ") + 5, text.indexOf("\n"));
    const result = compileText(text);
    const [first] = result.ok ? [] : result.errors.map(print);
    expect(first?.slice(0, expected.length)).toBe(expected);
  });

  test("an empty file is refused", () => {
    expect(compileText("")).toMatchObject({
      ok: false,
      errors: [{ path: "", message: "is empty: there is no policy in it", line: 1, column: 1 }],
    });
  });

  test("a function that no kernel has compiles: the nodes report it", () => {
    const [, text = ""] = files.find(([name]) => name === "function-not-in-kernel.yaml") ?? [];
    expect(specOf(text).hooks.map(({ call }) => call)).toEqual(["commit_credentials"]);
  });
});

const UPSTREAM = process.env.TRIGON_UPSTREAM_POLICIES;

describe.skipIf(UPSTREAM === undefined)(
  `upstream's policies${UPSTREAM === undefined ? " (TRIGON_UPSTREAM_POLICIES is not set)" : ""}`,
  () => {
    const expected: Record<string, string[] | "compiles"> = {
      "creds-capability-usage.yaml": [
        "20:5 spec.kprobes[0].return: return (the return value of a function) is not supported yet",
      ],
      "process-creds-changed.yaml": "compiles",
      "process-creds-installed.yaml": "compiles",
      "process.credentials.changes.at.syscalls.yaml": "compiles",
    };

    test.each(Object.entries(expected))("%s: %s", (name, want) => {
      const result = compileText(readFileSync(join(UPSTREAM ?? "", name), "utf8"));
      expect(result.ok ? "compiles" : result.errors.map(print)).toEqual(want);
    });

    test.each(["process-creds-installed.yaml", "process.credentials.changes.at.syscalls.yaml"])(
      "%s compiles to the same hooks as our own version",
      (name) => {
        const ours = specOf(readFileSync(join(EXAMPLES, "valid", name), "utf8"));
        expect(ours).toEqual(specOf(readFileSync(join(UPSTREAM ?? "", name), "utf8")));
      },
    );
  },
);
