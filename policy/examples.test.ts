import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { HOOK_SPEC_VERSION, type HookSpec } from "../crds/hook-spec.ts";
import { encodeHookSpec, hookSpecHash, parseHookSpec } from "../crds/hook-spec-codec.ts";
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

function expectTaken(result: CompileResult): void {
  if (!result.ok) throw new Error(JSON.stringify(result.errors));
  expect(parseHookSpec(encodeHookSpec(result.spec))).toEqual({ ok: true, spec: result.spec });
  expect(result.hash).toBe(hookSpecHash(result.spec));
}

const NEEDS_INJECTION = "Override of a system call needs Linux 7.0";

/** Of examples that show what some kernels lack. */
const KNOWN_WARNINGS: Readonly<Record<string, string[]>> = {
  "lsm-deny.yaml": ["in some kernels: 5.10 of"],
  "override.yaml": [NEEDS_INJECTION],
  "enforcers.yaml": [NEEDS_INJECTION],
};

describe("valid examples and the library", () => {
  const valid = filesOf(join(EXAMPLES, "valid"));
  const library = filesOf(join(EXAMPLES, "library"));
  const files = [...valid, ...library];

  test.each(files)("%s compiles without a warning, and an agent takes what comes out", (name, text) => {
    const result = compileText(text);
    const known = KNOWN_WARNINGS[name] ?? [];
    const warnings = known.map((message) => ({ message: expect.stringContaining(message) }));
    expect(result).toMatchObject({ ok: true, warnings });
    expectTaken(result);
  });

  test.each(files)("%s begins with a comment and is named after its file", (name, text) => {
    expect(text).toMatch(/^# /);
    const twin = "process-creds-installed.yaml"; // upstream's name
    if (name !== twin) expect(specOf(text).policy.name).toBe(name.replace(/\.yaml$/, ""));
  });

  test.each(library)(
    "%s says what it is good for and how noisy it is, and each hook what it saw",
    (_name, text) => {
      expect(text).toMatch(/^# Good for: /m);
      expect(text).toMatch(/^# Noise: /m);
      for (const hook of specOf(text).hooks) {
        expect(hook.message).toBeDefined();
        expect(hook.tags).toContain("credentials");
      }
    },
  );

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
      version: HOOK_SPEC_VERSION,
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

describe("examples rebuilt after Tetragon's", () => {
  const stray = "matchActions[0].argError: has no effect on Sigkill";
  const gone =
    "does not exist in kernels from 6.14 on: there the policy runs without this hook, and its status reports it";
  /** What is said about each; errors begin with REFUSED. */
  const remarks: Record<string, string[]> = {
    "creds-capability-usage.yaml": [],
    "fd_install_cap_changes.yaml": [],
    "fd_install_caps.yaml": [],
    "fd_install_ns.yaml": [],
    "fd_install_ns_host.yaml": [],
    "kill_unprivileged_user_namespace.yaml": [`20:15 spec.kprobes[0].selectors[0].${stray}`],
    "kill_unprivileged_user_namespace_in_pid_namespace.yaml": [`25:15 spec.kprobes[0].selectors[0].${stray}`],
    "kprobe_commit_creds.yaml": [
      "8:7 spec.kprobes[0].call: commit_creds runs at every exec, also when no credential changes: add matchCredChanges, or a rateLimit to Post",
    ],
    "lsm_bprm_check.yaml": [],
    "privileges-raise.yaml": [],
    "privileges-setuid-root.yaml": [],
    "process-creds-changed.yaml": [
      `22:7 spec.kprobes[1].call: override_creds ${gone}`,
      `31:7 spec.kprobes[2].call: revert_creds ${gone}`,
    ],
    "process-exec-elf-begin.yaml": [],
    "raw_syscalls.yaml": [
      "13:7 spec.tracepoints[0].event: raw_syscalls/sys_enter costs time in every system call of the node: hook the system calls that matter",
    ],
    "security_bprm_check.yaml": [],
    "sys_setuid.yaml": [],
  };

  test("all are in the table", () => {
    expect(filesOf(join(EXAMPLES, "compat")).map(([name]) => name)).toEqual(Object.keys(remarks));
  });

  test.each(filesOf(join(EXAMPLES, "compat")))("%s", (name, text) => {
    const result = compileText(text);
    const errors = result.ok ? [] : result.errors.map((error) => `REFUSED ${print(error)}`);
    expect([...errors, ...result.warnings.map(print)]).toEqual(remarks[name]);
    if (result.ok) expectTaken(result);
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
      "creds-capability-usage.yaml": "compiles",
      "process-creds-changed.yaml": "compiles",
      "process-creds-installed.yaml": "compiles",
      "process.credentials.changes.at.syscalls.yaml": "compiles",
    };

    test.each(Object.entries(expected))("%s: %s", (name, want) => {
      const result = compileText(readFileSync(join(UPSTREAM ?? "", name), "utf8"));
      expect(result.ok ? "compiles" : result.errors.map(print)).toEqual(want);
    });

    test.each([
      "valid/process-creds-installed.yaml",
      "valid/process.credentials.changes.at.syscalls.yaml",
      "compat/creds-capability-usage.yaml",
      "compat/process-creds-changed.yaml",
    ])("%s compiles to the same hooks as upstream's", (file) => {
      const ours = specOf(readFileSync(join(EXAMPLES, file), "utf8"));
      expect(ours).toEqual(specOf(readFileSync(join(UPSTREAM ?? "", basename(file)), "utf8")));
    });
  },
);
