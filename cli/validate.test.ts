import { execFileSync, spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCommand } from "./program.ts";
import { TestStreams } from "./testing/streams.ts";

const ROOT = join(import.meta.dirname, "..");
const EXAMPLES = join(ROOT, "crds/examples");
const VALID = join(EXAMPLES, "valid/process-creds-installed.yaml");
const INVALID = join(EXAMPLES, "invalid/list-does-not-exist.yaml");

interface Run {
  status: number;
  out: string[];
  err: string[];
}

async function run(args: string[], stdin = ""): Promise<Run> {
  const streams = new TestStreams(stdin);
  const status = await runCommand(["validate", ...args], "1.2.3", streams);
  return { status, out: streams.lines, err: streams.errors };
}

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "trigon-validate-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** A file below the test's directory. */
function write(name: string, text: string): string {
  const path = join(directory, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
  return path;
}

describe("trigon validate", () => {
  test("says nothing on standard output about a valid file, and exits with 0", async () => {
    expect(await run([VALID])).toEqual({
      status: 0,
      out: [],
      err: ["1 file: 1 valid, 0 invalid, 0 warnings"],
    });
  });

  test("prints each error as FILE:LINE:COLUMN: FIELD: MESSAGE and exits with 1", async () => {
    expect(await run([INVALID])).toEqual({
      status: 1,
      out: [
        `${INVALID}:12:7: spec.kprobes[0].call: list "uid-call" does not exist: did you mean "uid-calls"?`,
      ],
      err: ["1 file: 0 valid, 1 invalid, 0 warnings"],
    });
  });

  test("a warning is marked and does not change the exit status", async () => {
    const text = readFileSync(VALID, "utf8").replace("rateLimit", "# rateLimit");
    const path = write("noisy.yaml", text);
    const { status, out, err } = await run([path]);
    expect({ status, err }).toEqual({ status: 0, err: ["1 file: 1 valid, 0 invalid, 1 warning"] });
    expect(out).toEqual([
      expect.stringMatching(
        /noisy\.yaml:\d+:\d+: spec\.kprobes\[0\]\.call: warning: commit_creds runs at every exec/,
      ),
    ]);
  });

  test("--kernel reports hooks that the kernel lacks, at their place", async () => {
    const hook = (call: string, more = "") => `    - { call: ${call}, syscall: false${more} }\n`;
    const head =
      "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: { name: gone }\nspec:\n  kprobes:\n";
    const path = write("gone.yaml", head + hook("capable") + hook("comit_creds"));
    const { status, out } = await run(["--kernel", "6.1", path]);
    expect(status).toBe(1);
    expect(out[0]).toMatch(
      /gone\.yaml:7:7: spec\.kprobes\[1\]: Linux 6\.1 has no function comit_creds in BTF/,
    );
    const optional = write("optional.yaml", head + hook("comit_creds", ", ignore: { callNotFound: true }"));
    const lenient = await run(["--kernel", "6.1", optional]);
    expect(lenient.status).toBe(0);
    expect(lenient.out.join("\n")).toMatch(
      /optional\.yaml:6:7: spec\.kprobes\[0\]: warning: Linux 6\.1 has no function comit_creds/,
    );
  });

  test("--kernel is told what this kernel refuses of an argument, and nothing of what others do", async () => {
    const path = write(
      "member.yaml",
      `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: member }
spec:
  kprobes:
    - call: security_task_fix_setuid
      syscall: false
      args: [{ index: 0, type: uint32, resolve: ucounts.uid.val }]
`,
    );
    const anywhere = await run([path]);
    expect(anywhere.status).toBe(0);
    expect(anywhere.out).toEqual([
      expect.stringMatching(
        /:8:\d+: \S+\.resolve: warning: in the kernel 5\.10: struct cred has no member ucounts$/,
      ),
    ]);
    const refusing = await run(["--kernel", "5.10", path]);
    expect(refusing.status).toBe(1);
    expect(refusing.out).toEqual([
      expect.stringMatching(/:8:\d+: \S+\.resolve: in the kernel 5\.10: struct cred has no member ucounts$/),
    ]);
    expect(await run(["--kernel", "6.1", path])).toMatchObject({ status: 0, out: [] });
  });

  test("--kernel names the kernels that it knows", async () => {
    expect(await run(["--kernel", "4.19", VALID])).toEqual({
      status: 2,
      out: [],
      err: [
        "error: option '--kernel <version>' argument '4.19' is invalid. Allowed choices are 5.10, 6.1, 6.12, latest.",
        "(--help shows what is possible)",
      ],
    });
  });

  test("an error of the whole document has no field", async () => {
    expect((await run([write("empty.yaml", "")])).out).toEqual([
      `${join(directory, "empty.yaml")}:1:1: is empty: there is no policy in it`,
    ]);
  });

  test("checks each item of a List, as kubectl prints several policies", async () => {
    const items = [VALID, INVALID].map((file) => readFileSync(file, "utf8").replace(/^#.*\n/gm, ""));
    const indented = items.map((text) => `-\n${text.replace(/^(?=.)/gm, "  ")}`).join("");
    const path = write("list.yaml", `apiVersion: v1\nkind: List\nitems:\n${indented}- kind: Pod\n`);
    expect(await run([path])).toEqual({
      status: 1,
      out: [
        `${path}:41:3: items[2].kind: kind "Pod" is not a policy: must be TracingPolicy or TracingPolicyNamespaced`,
        `${path}:36:9: items[1].spec.kprobes[0].call: list "uid-call" does not exist: did you mean "uid-calls"?`,
      ],
      err: ["1 file: 1 valid, 2 invalid, 0 warnings"],
    });
  });

  test("the warning about a name has the place of the item", async () => {
    const item = readFileSync(VALID, "utf8").replace(/^(?=.)/gm, "  ");
    const path = write("twice.yaml", `apiVersion: v1\nkind: List\nitems:\n-\n${item}-\n${item}`);
    expect((await run([path])).out).toEqual([
      expect.stringMatching(
        /:\d+:5: items\[1\]\.metadata\.name: warning: .*twice\.yaml has a policy of this name too/,
      ),
    ]);
  });

  test("reads standard input", async () => {
    expect(await run(["-"], readFileSync(INVALID, "utf8"))).toMatchObject({
      status: 1,
      out: [expect.stringMatching(/^stdin:12:7: spec\.kprobes\[0\]\.call: list/)],
    });
  });

  test("reads all policy files below a directory, in order", async () => {
    write("tree/b/two.yml", "kind: TracingPolicy\na: [");
    write("tree/a/one.json", '{"kind":"TracingPolicy"}');
    write("tree/c.txt", "not read");
    write("tree/kustomization.yaml", "resources: [a/one.json]");
    const { status, out, err } = await run([join(directory, "tree")]);
    expect(out.map((line) => relative(directory, line.split(":", 1)[0] ?? ""))).toEqual([
      "tree/a/one.json",
      "tree/b/two.yml",
    ]);
    expect({ status, err }).toEqual({ status: 1, err: ["2 files: 0 valid, 2 invalid, 0 warnings"] });
  });

  describe("below the directory of a whole repository", () => {
    const others = {
      ".github/workflows/check.yml": "name: check\non: push\njobs: {}\n",
      "values.yaml": "replicas: 1\n---\n- a\n",
      "config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: x }\n",
      "network.yaml": "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: { name: x }\n",
      "templates/job.yaml": "{{- if .Values.job }}\nkind: Job\n{{- end }}\n",
      "empty.yaml": "",
    };
    beforeAll(() => {
      for (const [name, text] of Object.entries(others)) write(`repository/${name}`, text);
      write("repository/policies/valid.yaml", readFileSync(VALID, "utf8"));
    });

    test("documents of other kinds and hidden directories are left out", async () => {
      expect(await run([join(directory, "repository")])).toEqual({
        status: 0,
        out: [],
        err: ["6 files: 1 valid, 0 invalid, 0 warnings, 6 other documents skipped"],
      });
    });

    test("--strict takes them for errors", async () => {
      const { status, out, err } = await run(["--strict", join(directory, "repository")]);
      expect(status).toBe(1);
      expect(out).toContainEqual(expect.stringMatching(/check\.yml:1:1: kind: "kind" is missing/));
      expect(err).toEqual(["7 files: 1 valid, 7 invalid, 0 warnings"]);
    });

    test("so does naming the file", async () => {
      expect(await run([join(directory, "repository/config.yaml")])).toMatchObject({ status: 1 });
    });

    test.each([
      [
        "a misspelt kind",
        "apiVersion: cilium.io/v1alpha1\nkind: TracngPolicy\n",
        'did you mean "TracingPolicy"',
      ],
      ["no kind in our API group", "apiVersion: cilium.io/v1alpha1\nspec: {}\n", '"kind" is missing'],
      ["another version of our kind", "apiVersion: v1\nkind: TracingPolicy\n", "is not known"],
    ])("%s is still an error", async (name, text, message) => {
      write(`misspelt-${name.length}/policy.yaml`, text);
      const { status, out } = await run([join(directory, `misspelt-${name.length}`)]);
      expect({ status, out }).toEqual({ status: 1, out: [expect.stringContaining(message)] });
    });
  });

  test("follows links below a directory, and reads a file once however often it is linked", async () => {
    const target = write("linked/..data/real.yaml", readFileSync(INVALID, "utf8"));
    symlinkSync(target, join(directory, "linked/real.yaml"));
    symlinkSync(VALID, join(directory, "linked/valid.yaml"));
    const { out, err } = await run([join(directory, "linked")]);
    expect(out).toEqual([expect.stringMatching(/linked\/real\.yaml:12:7: /)]);
    expect(err).toEqual(["2 files: 1 valid, 1 invalid, 0 warnings"]);
  });

  test("a link to nothing is an error of that file, and the others are checked", async () => {
    const valid = write("dangling/valid.yaml", readFileSync(VALID, "utf8"));
    symlinkSync(join(directory, "nowhere.yaml"), join(directory, "dangling/a.yaml"));
    symlinkSync(join(valid, ".."), join(directory, "dangling/of-a-directory.yaml"));
    expect(await run([join(directory, "dangling")])).toEqual({
      status: 1,
      out: [expect.stringMatching(/dangling\/a\.yaml:1:1: cannot be read: ENOENT/)],
      err: ["2 files: 1 valid, 1 invalid, 0 warnings"],
    });
  });

  test("a file that is not UTF-8 is refused where it is not", async () => {
    const path = write("latin1.yaml", "");
    writeFileSync(path, Buffer.from(readFileSync(VALID, "utf8").replace("1m", "caf\u00e9"), "latin1"));
    expect((await run([path])).out).toEqual([
      expect.stringMatching(/latin1\.yaml:23:29: is not UTF-8: save it as UTF-8$/),
    ]);
  });

  test("the valid examples are valid, and each invalid one is not", async () => {
    expect(await run([join(EXAMPLES, "valid")])).toMatchObject({
      status: 0,
      out: [
        expect.stringMatching(/enforcers\.yaml:23:11: .*Override of a system call needs Linux 7\.0/),
        expect.stringMatching(/lsm-deny\.yaml:8:7: .*"userns_create" is missing in some kernels: 5\.10 of/),
        expect.stringMatching(/override\.yaml:19:11: .*Override of a system call needs Linux 7\.0/),
      ],
    });
    const names = readdirSync(join(EXAMPLES, "invalid")).filter(
      (name) => name !== "function-not-in-kernel.yaml",
    );
    expect(names.length).toBeGreaterThan(30);
    for (const name of names)
      expect([name, (await run([join(EXAMPLES, "invalid", name)])).status]).toEqual([name, 1]);
  });

  test("warns when two files have a policy of the same name", async () => {
    const copy = write("copy.yaml", readFileSync(VALID, "utf8"));
    const { status, out } = await run([VALID, copy]);
    expect(status).toBe(0);
    expect(out).toEqual([
      `${copy}:7:3: metadata.name: warning: ${VALID} has a policy of this name too: the one that is applied later replaces the other`,
    ]);
  });

  test("one broken document among several is counted alone", async () => {
    const good = readFileSync(VALID, "utf8");
    const { status, err } = await run([
      write("three.yaml", `${good}---\nkind: Pod\n---\n${good.replace("process-creds-changed", "other")}`),
    ]);
    expect({ status, err }).toEqual({ status: 1, err: ["1 file: 2 valid, 1 invalid, 0 warnings"] });
  });

  test.each([
    ["no file", [], "error: missing required argument 'paths'"],
    ["an unknown option", ["--colour", VALID], "error: unknown option '--colour'"],
    [
      "a file that is not there",
      [VALID, "/nonexistent.yaml"],
      "trigon validate: ENOENT: no such file or directory",
    ],
    ["a directory without policies", [join(ROOT, "LICENSES-nowhere"), VALID], "trigon validate: ENOENT"],
  ])("%s: exit status 2, and why on standard error", async (_name, args, message) => {
    const { status, out, err } = await run(args);
    expect({ status, out }).toEqual({ status: 2, out: [] });
    expect(err[0]).toContain(message);
  });

  test("an empty directory is no success", async () => {
    mkdirSync(join(directory, "nothing"));
    const path = join(directory, "nothing");
    expect(await run([path])).toEqual({
      status: 2,
      out: [],
      err: [`trigon validate: no *.yaml, *.yml or *.json file below ${path}`],
    });
  });

  test.each([["--help"], ["-h"]])("%s explains", async (option) => {
    const { status, out } = await run([VALID, option]);
    expect(status).toBe(0);
    expect(out.join("\n")).toContain("Exit status: 0 all policies are valid, 1 some are not, 2 usage error");
  });
});

describe("forms of the answer", () => {
  const broken = "kind: Pod\n";

  test("json has counts and each finding with its place", async () => {
    const { out } = await run(["-", "-o", "json"], broken);
    expect(JSON.parse(out.join(""))).toEqual({
      files: 1,
      valid: 0,
      invalid: 1,
      skipped: 0,
      warnings: 0,
      findings: [
        {
          file: "stdin",
          line: 1,
          column: 1,
          level: "error",
          path: "kind",
          message: expect.stringContaining("Pod"),
        },
      ],
    });
  });

  test("github's commands have no line breaks and no separators in names", async () => {
    const file = write("a,b:c%.yaml", broken);
    const { out, status } = await run([file, "-o", "github"]);
    const escaped = file.replace("%", "%25").replace(":", "%3A").replace(",", "%2C");
    expect(out).toEqual([
      expect.stringMatching(/^::error file=.*,line=1,col=1::kind: kind "Pod" is not a policy/),
    ]);
    expect(out[0]).toContain(`file=${escaped},`);
    expect(status).toBe(1);
  });

  test("sarif names the file as a URI, and the rule of each result", async () => {
    const file = write("with space.yaml", broken);
    const { out } = await run([file, INVALID, "-o", "sarif"]);
    const { version, runs } = JSON.parse(out.join(""));
    expect(version).toBe("2.1.0");
    expect(runs[0].results[0]).toMatchObject({
      ruleId: "error",
      level: "error",
      message: { text: expect.stringMatching(/^kind: /) },
      locations: [
        {
          physicalLocation: {
            artifactLocation: { uri: expect.stringMatching(/^file:.*with%20space\.yaml$/) },
            region: { startLine: 1, startColumn: 1 },
          },
        },
      ],
    });
    for (const { ruleId, ruleIndex } of runs[0].results)
      expect(runs[0].tool.driver.rules[ruleIndex].id).toBe(ruleId);
  });

  test("sarif of valid policies has a run without results", async () => {
    const { out, status } = await run([VALID, "-o", "sarif"]);
    expect(JSON.parse(out.join("")).runs[0].results).toEqual([]);
    expect(status).toBe(0);
  });
});

describe("the command", () => {
  const trigon = (args: string[], input = "") =>
    spawnSync(process.execPath, [join(ROOT, "cli/trigon.mjs"), ...args], { encoding: "utf8", input });

  test.each([
    ["a valid file", ["validate", VALID], 0],
    ["an invalid file", ["validate", INVALID], 1],
    ["no file", ["validate"], 2],
    ["no command", [], 2],
    ["an unknown command", ["valdate"], 2],
    ["--help", ["--help"], 0],
    ["--version", ["--version"], 0],
  ])("passes the exit status on: %s", (_name, args, status) => {
    expect(trigon(args).status).toBe(status);
  });

  test("reads standard input and writes standard output", () => {
    const { stdout, stderr, status } = trigon(["validate", "-"], "kind: Pod\n");
    expect({ stdout, stderr, status }).toEqual({
      stdout:
        'stdin:1:1: kind: kind "Pod" is not a policy: must be TracingPolicy or TracingPolicyNamespaced\n',
      stderr: "1 file: 0 valid, 1 invalid, 0 warnings\n",
      status: 1,
    });
  });

  test("npx runs it in a checkout", () => {
    const out = execFileSync("npx", ["--offline", "trigon", "--version"], { cwd: ROOT, encoding: "utf8" });
    expect(out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

test("1,000 policies take a few seconds of CPU", async () => {
  const many = join(directory, "many");
  mkdirSync(many);
  const yaml = readFileSync(join(EXAMPLES, "library/root-in-pods.yaml"), "utf8");
  for (let i = 0; i < 1_000; i++)
    writeFileSync(join(many, `${i}.yaml`), yaml.replace("name: root-in-pods", `name: root-in-pods-${i}`));
  const before = process.threadCpuUsage();
  const { status, err } = await run([many]);
  const { user, system } = process.threadCpuUsage(before);
  expect([status, err.at(-1)]).toEqual([0, "1000 files: 1000 valid, 0 invalid, 0 warnings"]);
  expect((user + system) / 1e6).toBeLessThan(10);
});
