import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { makeApi, type TestApi } from "../agent/api/testing/api.ts";
import { makeHit } from "../agent/events/testing/pipeline.ts";
import { credSlot, makeBatch } from "../agent/records/testing/records.ts";
import { runCommand } from "./program.ts";
import { TestStreams } from "./testing/streams.ts";

async function run(args: string[], streams = new TestStreams()) {
  const status = await runCommand(args, "1.2.3", streams);
  return { status, lines: streams.lines, errors: streams.errors };
}

/** Every command and subcommand but `help`, as its help lists them. */
async function commandsOf(path: string[]): Promise<string[][]> {
  const { lines } = await run([...path, "--help"]);
  const [, list = ""] = /\nCommands:\n((?: .*\n?)*)/.exec(lines.join("\n")) ?? [];
  const names = [...list.matchAll(/^ {2}(\w[\w-]*)/gm)].map(([, name]) => name as string);
  const paths = names.filter((name) => name !== "help").map((name) => [...path, name]);
  return [...paths, ...(await Promise.all(paths.map(commandsOf))).flat()];
}

describe("the command line", () => {
  test("every command has help with an example", async () => {
    const commands = await commandsOf([]);
    expect(commands.map((path) => path.join(" "))).toEqual(
      expect.arrayContaining([
        "events",
        "getevents",
        "policies list",
        "policies mode",
        "validate",
        "completion",
      ]),
    );
    for (const path of commands) {
      const { status, lines } = await run([...path, "--help"]);
      expect({ path, status }).toEqual({ path, status: 0 });
      expect(lines.join("\n"), path.join(" ")).toContain("Example:");
    }
  });

  const mistakes: Record<string, { args: string[]; says: string }> = {
    "an unknown command": { args: ["evnts"], says: "Did you mean events?" },
    "an unknown flag": { args: ["events", "--frm", "x"], says: "unknown option '--frm'" },
    "a format that there is not": {
      args: ["events", "-o", "xml"],
      says: "Allowed choices are compact, json",
    },
    "a duration that is none": {
      args: ["policies", "list", "--timeout", "soon"],
      says: "expected a duration",
    },
    "a file that is not there": { args: ["events", "/nowhere"], says: "ENOENT" },
    "an unknown event type": { args: ["events", "-", "-e", "fork"], says: "--event-types: fork is none of" },
    "a pattern that is none": { args: ["events", "-", "--pod", "("], says: '--pod: "(" is no RE2 pattern' },
    "--since without a file": { args: ["events", "--since", "1m"], says: "name a file with exported events" },
    "a time that is none": { args: ["events", "-", "--since", "monday"], says: "--since: monday is neither" },
    "what only the agent can do": {
      args: ["events", "-", "-f", "time"],
      says: "--include-fields: the agent",
    },
  };
  test.each(Object.entries(mistakes))(
    "%s is a usage error that says what is wrong",
    async (_name, { args, says }) => {
      const { status, errors } = await run(args);
      expect(errors.join("\n")).toContain(says);
      expect(status).toBe(2);
    },
  );

  test("an agent that does not answer is named with its address", async () => {
    const { status, errors } = await run(["policies", "list", "--server-address", "unix:///nowhere/x.sock"]);
    expect(errors.join("\n")).toBe(
      "trigon: no agent answers at unix:///nowhere/x.sock: connect ENOENT /nowhere/x.sock",
    );
    expect(status).toBe(1);
  });

  test.each(["bash", "zsh", "fish"])("completion for %s calls back", async (shell) => {
    const script = (await run(["completion", shell])).lines.join("\n");
    expect(script).toContain("trigon");
    expect(script).toContain("complete --");
  });

  const completions: Record<string, { words: string[]; want: RegExp }> = {
    "commands under an alias": { words: ["tp", ""], want: /^list\t/m },
    "values of flags": { words: ["events", "--output", ""], want: /^compact/m },
    "what is unknown may be a file": { words: ["validate", ""], want: /^:0$/ },
  };
  test.each(Object.entries(completions))("completion knows: %s", async (_name, { words, want }) => {
    expect((await run(["complete", "--", ...words])).lines.join("\n")).toMatch(want);
  });
});

const LINES = [
  `{"process_exec":{"process":{"binary":"/bin/id","pod":{"namespace":"shop","name":"web-1"}}},"node_name":"n","time":"2026-11-20T10:00:00Z"}`,
  `{"process_kprobe":{"process":{"binary":"/bin/su"},"function_name":"__x64_sys_setuid","policy_name":"p","args":[{"int_arg":0}]},"node_name":"n","time":"2026-11-20T11:00:00Z"}`,
];
const INPUT = `${LINES[0]}\nnot json\n{"level":"info","message":"a log line","time":"2026-11-20T10:00:00Z"}\n${LINES[1]}\n`;

describe("events of the standard input", () => {
  test("are shown in compact lines; other lines are counted", async () => {
    const { lines, errors, status } = await run(["events", "-"], new TestStreams(INPUT));
    expect(lines).toEqual([
      "10:00:00      n  shop/web-1  /bin/id  exec",
      "11:00:00      n  host  /bin/su  setuid(0)",
    ]);
    expect(errors).toEqual(["trigon: 2 lines are no events"]);
    expect(status).toBe(0);
  });

  test("getevents reads a pipe without being told to, and gives JSON back as it came", async () => {
    expect((await run(["getevents"], new TestStreams(INPUT))).lines).toEqual(LINES);
  });

  test("are coloured on a terminal only", async () => {
    const terminal = new TestStreams(INPUT);
    terminal.isTerminal = true;
    expect((await run(["events", "-"], terminal)).lines[0]).toContain("\u001b[");
    expect((await run(["events", "-", "--color", "never"], new TestStreams(INPUT))).lines[0]).not.toContain(
      "\u001b[",
    );
  });

  const filters: Record<string, { args: string[]; shown: number[] }> = {
    "by namespace": { args: ["-n", "shop,other"], shown: [0] },
    "by host": { args: ["--host"], shown: [1] },
    "by host and namespace, either of which is enough": { args: ["--host", "-n", "shop"], shown: [0, 1] },
    "by namespace pattern": { args: ["--namespace-regex", "^sh"], shown: [0] },
    "by pod": { args: ["--pod", "^web-[0-9]"], shown: [0] },
    "by process": { args: ["--process", "su$"], shown: [1] },
    "by policy": { args: ["--policy", "p"], shown: [1] },
    "by type": { args: ["-e", "exec"], shown: [0] },
    "by type as upstream names it": { args: ["-e", "PROCESS_KPROBE,process_lsm"], shown: [1] },
    "by time": { args: ["--since", "2026-11-20T10:30:00Z"], shown: [1] },
    "by all that is given": { args: ["-n", "shop", "--policy", "p"], shown: [] },
  };
  test.each(Object.entries(filters))("are filtered %s", async (_name, { args, shown }) => {
    const { lines } = await run(["events", "-", "-o", "json", ...args], new TestStreams(INPUT));
    expect(lines).toEqual(shown.map((index) => LINES[index]));
  });
});

describe("events of a file", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "trigon-cli-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test.each([
    ["as it is written", "events.json", Buffer.from(INPUT)],
    ["as a rotation has compressed it", "events-2026-11-20.json.gz", gzipSync(INPUT)],
  ])("are shown: %s", async (_name, file, content) => {
    writeFileSync(join(directory, file), content);
    const { lines } = await run(["events", "-o", "json", join(directory, file)]);
    expect(lines).toEqual(LINES);
  });

  test("that is cut are shown as far as it goes, with what is wrong", async () => {
    const file = join(directory, "cut.json.gz");
    writeFileSync(file, gzipSync(INPUT).subarray(0, -10));
    const { errors, status } = await run(["events", file]);
    expect(errors.join("\n")).toContain("unexpected end of file");
    expect(status).toBe(1);
  });
});

const POLICY = `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: creds}
spec:
  kprobes:
  - {call: commit_creds, syscall: false, args: [{index: 0, type: cred}], selectors: [{matchActions: [{action: Sigkill}]}]}
`;

describe("an agent", () => {
  let api: TestApi;
  let address: string[];
  let directory: string;
  beforeEach(async () => {
    api = await makeApi();
    address = ["--server-address", `unix://${api.socket}`];
    directory = mkdtempSync(join(tmpdir(), "trigon-cli-"));
    writeFileSync(join(directory, "policy.yaml"), POLICY);
  });
  afterEach(async () => {
    await api.close();
    rmSync(directory, { recursive: true });
  });

  async function liveEvents(args: string[]): Promise<string[]> {
    const streams = new TestStreams().endAfter(1);
    const done = run(["events", ...address, ...args], streams);
    await vi.waitFor(() => expect(api.counts.open).toBe(1), 10_000);
    api.pipeline.handleBatch(makeBatch(makeHit([credSlot({ uid: 7 })])));
    expect(await done).toMatchObject({ status: 0, errors: [] });
    return streams.lines;
  }

  test("streams events in compact lines", async () => {
    expect((await liveEvents([]))[0]).toMatch(
      /node-1 {2}host {2}\/bin\/sh.* {2}commit_creds\(.*uid 7\/0\/0\/0/,
    );
  });

  test("streams the JSON of the export, filtered by itself", async () => {
    const [line = ""] = await liveEvents(["-o", "json", "--policy", "creds", "--process", "sh$"]);
    expect(JSON.parse(line)).toMatchObject({
      process_kprobe: {
        function_name: "commit_creds",
        args: [{ process_credentials_arg: { uid: 7, euid: 0 } }],
      },
      node_name: "node-1",
    });
  });

  test("streams only the fields that are wanted", async () => {
    const [line = ""] = await liveEvents(["-o", "json", "-f", "process.binary,policy_name"]);
    expect(JSON.parse(line).process_kprobe).toEqual({ process: { binary: "/bin/sh" }, policy_name: "creds" });
  });

  test("that starts again is connected to again where that is wanted", async () => {
    const first = await makeApi({ keepsDirectory: true });
    const streams = new TestStreams().endAfter(2);
    const flags = ["--server-address", `unix://${first.socket}`, "--reconnect", "--reconnect-wait", "10ms"];
    const done = run(["events", ...flags], streams);
    const hit = async (one: TestApi, lines: number) => {
      await vi.waitFor(() => expect(one.counts.open).toBe(1), 10_000);
      one.pipeline.handleBatch(makeBatch(makeHit([credSlot({ uid: 7 })])));
      await vi.waitFor(() => expect(streams.lines).toHaveLength(lines), 10_000);
    };
    await hit(first, 1);
    await first.close();
    const second = await makeApi({ directory: first.directory });
    await hit(second, 2);
    expect((await done).status).toBe(0);
    expect(streams.errors[0]).toBe("trigon: the agent stops");
    await second.close();
  });

  test("that stops ends the command with the reason", async () => {
    const one = await makeApi();
    const done = run(["events", "--server-address", `unix://${one.socket}`]);
    await vi.waitFor(() => expect(one.counts.open).toBe(1), 10_000);
    await one.close();
    expect(await done).toMatchObject({ status: 1, errors: ["trigon: the agent stops"] });
  });

  test("says what is wrong with a filter", async () => {
    const { errors, status } = await run(["events", ...address, "--cel-expression", "1 +"]);
    expect(errors[0]).toContain("allow_list[0].cel_expression[0]");
    expect(status).toBe(1);
  });

  test("its policies are added, listed, switched and deleted", async () => {
    const policies = (...args: string[]) => run(["policies", ...args, ...address]);
    const file = join(directory, "policy.yaml");
    expect(await policies("add", file)).toMatchObject({ status: 0, lines: [`${file}: added`] });
    const listed = await run(["tp", "list", ...address]);
    expect(listed.lines).toEqual([
      expect.stringMatching(
        /^ID +NAME +DOMAIN +STATE +FILTERID +NAMESPACE +SENSORS +KERNELMEMORY +MODE +NPOST/,
      ),
      expect.stringMatching(
        /^1 +creds +grpc +enabled +0 +\(global\) +generic_kprobe +0 B +enforce +0 +0 +0$/,
      ),
    ]);
    await policies("mode", "creds", "monitor");
    expect(api.kernel.modes.get("TracingPolicy/creds")).toBe("monitor");
    await policies("mode", "creds", "count");
    expect(api.kernel.modes.get("TracingPolicy/creds")).toBe("count");
    expect((await policies("list")).lines[1]).toMatch(/ 0 B +count +0 +0 +0$/);
    await policies("disable", "creds");
    const { lines } = await policies("list", "-o", "json");
    expect(JSON.parse(lines.join(""))).toMatchObject({
      policies: [{ name: "creds", state: "TP_STATE_DISABLED" }],
    });
    expect(await policies("enable", "creds")).toMatchObject({ lines: ["creds: enabled"] });
    expect(await policies("domains")).toMatchObject({ lines: ["grpc"] });
    expect(await policies("delete", "creds")).toMatchObject({ lines: ["creds: deleted"] });
    expect((await policies("delete", "creds")).errors).toEqual([
      "trigon: there is no TracingPolicy/creds on this node",
    ]);
  });

  test("a policy that is added in monitor mode never enforces", async () => {
    await run(["policies", "add", "-", "--mode", "monitor", ...address], new TestStreams(POLICY));
    expect(api.kernel.modes.get("TracingPolicy/creds")).toBe("monitor");
  });

  test("the mode that is given replaces the file's own", async () => {
    const file = join(directory, "policy.yaml");
    writeFileSync(file, `${readFileSync(file, "utf8")}  options: [{name: policy-mode, value: enforce}]\n`);
    expect(await run(["policies", "add", file, "-m", "monitor", ...address])).toMatchObject({ status: 0 });
    expect(api.kernel.modes.get("TracingPolicy/creds")).toBe("monitor");
  });

  test("a policy that it refuses is named with the reason", async () => {
    api.kernel.fails = () => "spec.kprobes[0] commit_creds: not found";
    const { status, errors } = await run(["policies", "add", join(directory, "policy.yaml"), ...address]);
    expect(errors[0]).toContain("spec.kprobes[0] commit_creds: not found");
    expect(status).toBe(1);
  });
});
