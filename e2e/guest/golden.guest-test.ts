/**
 * Changes of credentials are reported completely and correctly: a program makes a known sequence of calls in a pid
 * namespace of its own, and the export file has exactly the events that belong to it.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/golden.guest-test.ts
 *
 * @kernels 5.10, latest: user space makes the events; the hooks behind them are tested on every kernel
 */
import assert from "node:assert/strict";
import { chmod, copyFile, mkdtemp, writeFile } from "node:fs/promises";
import { arch, hostname, tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type AgentProcess, type ExportedEvent, startAgent } from "./agent-process.ts";
import { runProgram } from "./program.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const SYSCALL_PREFIX = arch() === "arm64" ? "__arm64_" : "__x64_";
const NOBODY = 65_534;

/** The eight ids of a struct cred. */
type Ids = Record<"uid" | "gid" | "euid" | "egid" | "suid" | "sgid" | "fsuid" | "fsgid", number>;

interface Step {
  /** Argument of change-ids. */
  step: string;
  /** What it prints after ` = `. */
  result: string;
  /** Arguments of the event of the syscall policy; absent: the policy does not watch this call. */
  args?: number[];
  /** New credentials as far as they differ from those before; absent: nothing is committed. */
  ids?: Partial<Ids>;
  effective?: "all" | "none" | "not CAP_CHOWN";
  securebits?: string[];
  level?: number;
}

const ROOT_IDS: Ids = { uid: 0, gid: 0, euid: 0, egid: 0, suid: 0, sgid: 0, fsuid: 0, fsgid: 0 };

/** Steps from root to an unprivileged user, with some detours. */
const STEPS: Step[] = [
  { step: "setuid:0", result: "0", args: [0], ids: {}, effective: "all" },
  { step: "setgid:7", result: "0", args: [7], ids: { gid: 7, egid: 7, sgid: 7, fsgid: 7 }, effective: "all" },
  { step: "setgroups:1001:1002", result: "0", ids: {}, effective: "all" },
  { step: "setfsgid:1003", result: "7", args: [1003], ids: { fsgid: 1003 }, effective: "all" },
  { step: "setfsuid:1003", result: "0", args: [1003], ids: { fsuid: 1003 }, effective: "not CAP_CHOWN" },
  { step: "setfsuid:0", result: "1003", args: [0], ids: { fsuid: 0 }, effective: "all" },
  {
    step: "setresgid:1001:1002:1003",
    result: "0",
    args: [1001, 1002, 1003],
    ids: { gid: 1001, egid: 1002, sgid: 1003, fsgid: 1002 },
    effective: "all",
  },
  {
    step: "setregid:1002:1001",
    result: "0",
    args: [1002, 1001],
    ids: { gid: 1002, egid: 1001, sgid: 1001, fsgid: 1001 },
    effective: "all",
  },
  { step: "securebits:4", result: "0", ids: {}, effective: "all", securebits: ["SecBitNoSetUidFixup"] },
  { step: "securebits:0", result: "0", ids: {}, effective: "all" },
  {
    step: "setresuid:1000:1001:0",
    result: "0",
    args: [1000, 1001, 0],
    ids: { uid: 1000, euid: 1001, suid: 0, fsuid: 1001 },
    effective: "none",
  },
  { step: "setuid:0", result: "0", args: [0], ids: { euid: 0, fsuid: 0 }, effective: "all" },
  {
    step: "setreuid:-1:1001",
    result: "0",
    args: [-1, 1001],
    ids: { euid: 1001, suid: 1001, fsuid: 1001 },
    effective: "none",
  },
  { step: "setuid:0", result: "EPERM", args: [0] },
  { step: "setuid:4294967294", result: "EPERM", args: [-2] },
  { step: "setuid:4294967295", result: "EINVAL", args: [-1] },
  { step: "newuserns", result: "0", ids: {}, effective: "all", level: 1 },
];

const SYSCALL_POLICY = join(ROOT, "crds/examples/valid/process.credentials.changes.at.syscalls.yaml");
const SYSCALL_POLICY_NAME = "process.credentials.changes.at.syscalls";
const COMMIT_POLICY = `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: every.commit
spec:
  kprobes:
    - call: commit_creds
      syscall: false
      args:
        - index: 0
          type: cred
      selectors:
        - matchNamespaces:
            - namespace: Pid
              operator: NotIn
              values: [host_ns]
`;

interface Kprobe {
  process: Process;
  parent: Process;
  function_name: string;
  args: Record<string, unknown>[];
  credential_change?: CredentialChange;
  system_call?: { id: number; name: string; abi: string };
  in_exec?: boolean;
  action: string;
  return_action: string;
  policy_name: string;
}

interface Process {
  exec_id: string;
  pid: number;
  tid: number;
  uid: number;
  cwd: string;
  binary: string;
  arguments: string;
  flags: string;
  start_time: string;
  auid: number;
  parent_exec_id: string;
  in_init_tree: boolean;
}

let directory: string;
let program: string;
let agent: AgentProcess;
let output: string;
let events: ExportedEvent[];
let kprobes: Kprobe[];

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "trigon-golden-"));
  await runProgram("make", ["-C", join(import.meta.dirname, "programs")]);
  program = join(directory, "change-ids");
  await copyFile(join(ROOT, "build/guest/change-ids"), program);
  const commitPolicy = join(directory, "every-commit.yaml");
  await writeFile(commitPolicy, COMMIT_POLICY);
  const policies = ["--tracing-policy", SYSCALL_POLICY, "--tracing-policy", commitPolicy];
  agent = await startAgent(join(directory, "events.json"), policies);
  output = await trigger(STEPS.map(({ step }) => step));
  events = await agent.events();
  kprobes = kprobesOf(events);
});
after(() => agent?.stop("SIGKILL"));

/** Runs change-ids, or another program, as the first process of a pid namespace; resolves when its exit has been exported. */
async function trigger(steps: string[], binary = program): Promise<string> {
  const name = basename(binary);
  const exitsBefore = exitsOf(await agent.events(), name).length;
  const text = await runProgram("unshare", ["--pid", "--fork", "--mount-proc", binary, ...steps], {
    cwd: directory,
  });
  for (let tries = 0; exitsOf(await agent.events(), name).length === exitsBefore; tries++) {
    assert.ok(tries < 100, `no process_exit of ${name}:\n${agent.log()}`);
    await delay(50);
  }
  return text;
}

/** A process that ended while the agent started may have no binary. */
function exitsOf(all: ExportedEvent[], name: string): ExportedEvent[] {
  return all.filter((event) => {
    const exit = event.process_exit as { process: Partial<Process> } | undefined;
    return exit?.process.binary?.endsWith(name);
  });
}

function kprobesOf(all: ExportedEvent[]): Kprobe[] {
  return all.flatMap((event) => (event.process_kprobe ? [event.process_kprobe as Kprobe] : []));
}

const ofPolicy = (all: Kprobe[], name: string) => all.filter((kprobe) => kprobe.policy_name === name);

test("the program did what the table describes", () => {
  assert.deepEqual(
    output.trim().split("\n"),
    STEPS.map(({ step, result }) => `${step} = ${result}`),
  );
});

test("each watched system call is one event with its arguments, in order, failed ones included", () => {
  const want = STEPS.flatMap(({ step, args }) =>
    args
      ? [
          {
            function_name: `${SYSCALL_PREFIX}sys_${step.split(":")[0]}`,
            args: args.map((int_arg) => ({ int_arg })),
          },
        ]
      : [],
  );
  const got = ofPolicy(kprobes, SYSCALL_POLICY_NAME).map(({ function_name, args }) => ({
    function_name,
    args,
  }));
  assert.deepEqual(got, want);
});

describe("each commit of credentials", () => {
  const commits = STEPS.filter(({ ids }) => ids);

  test("is one event: one for the exec, by the program that executes, then one per change", () => {
    const got = ofPolicy(kprobes, "every.commit");
    assert.equal(got.length, 1 + commits.length);
    assert.equal(got[0]?.process.binary, "/usr/bin/unshare");
    assert.deepEqual(new Set(got.slice(1).map(({ process }) => process.binary)), new Set([program]));
  });

  test("shows the new ids, capabilities, securebits and user namespace", () => {
    const ids = { ...ROOT_IDS };
    const got = ofPolicy(kprobes, "every.commit").slice(1);
    for (const [index, want] of commits.entries()) {
      Object.assign(ids, want.ids);
      checkCredentials(got[index]?.args[0]?.process_credentials_arg as Credentials, ids, want);
    }
  });

  test("shows old and new of what has changed, and of nothing else", () => {
    const ids = { ...ROOT_IDS };
    const got = ofPolicy(kprobes, "every.commit").slice(1);
    for (const [index, want] of commits.entries()) {
      const change = got[index]?.credential_change;
      assert.ok(change, want.step);
      const before = { ...ids };
      Object.assign(ids, want.ids);
      for (const name of Object.keys(ids) as (keyof Ids)[]) {
        const wanted = before[name] === ids[name] ? undefined : { old: before[name], new: ids[name] };
        assert.deepEqual(change[name], wanted, `${want.step}: ${name}`);
      }
    }
  });

  test("distinguishes changes that the new credentials alone do not show", () => {
    const got = ofPolicy(kprobes, "every.commit").slice(1);
    const changeOf = (name: string) =>
      got[commits.findIndex(({ step }) => step === name)]?.credential_change as CredentialChange;
    assert.deepEqual(changeOf("setuid:0"), {});
    assert.deepEqual(changeOf("setgroups:1001:1002"), {
      groups: { old: { count: 0 }, new: { count: 2, ids: [1001, 1002] } },
    });
    assert.deepEqual(changeOf("securebits:4"), { securebits: { new: ["SecBitNoSetUidFixup"] } });
    const { old, new: entered } = changeOf("newuserns").user_ns ?? {};
    assert.deepEqual([old?.level, entered?.level], [0, 1]);
  });

  test("shows the capabilities that come and go", () => {
    const got = ofPolicy(kprobes, "every.commit").slice(1);
    const changeOf = (name: string) =>
      got[commits.findIndex(({ step }) => step === name)]?.credential_change?.cap_effective;
    const left = changeOf("setfsuid:1003");
    assert.ok(left?.removed?.includes("CAP_CHOWN"));
    assert.equal(left?.added, undefined);
    const { old, new: none } = changeOf("setreuid:-1:1001") ?? {};
    assert.match(old ?? "", /^[0-9a-f]{15}f$/);
    assert.equal(none, "0000000000000000");
    assert.deepEqual(changeOf("setreuid:-1:1001")?.removed, ["ALL"]);
  });
});

type CredentialChange = Partial<Record<keyof Ids, { old: number; new: number }>> & {
  cap_effective?: { added?: string[]; removed?: string[]; old: string; new: string };
  user_ns?: { old: { level: number }; new: { level: number } };
};

interface Credentials extends Ids {
  caps?: { permitted?: string[]; effective?: string[]; inheritable?: string[] };
  securebits?: string[];
  user_ns: { level: number; uid: number; gid: number; ns: { inum: number; is_host?: boolean } };
}

function checkCredentials(
  got: Credentials,
  ids: Ids,
  { step, effective, securebits, level = 0 }: Step,
): void {
  const { caps = {}, securebits: bits, user_ns } = got;
  const rest = Object.fromEntries(Object.keys(ids).map((name) => [name, got[name as keyof Ids]]));
  assert.deepEqual(rest, ids, step);
  assert.deepEqual(bits, securebits, step);
  assert.equal(user_ns.level, level, step);
  assert.equal(user_ns.ns.is_host === true, level === 0, step);
  const has = caps.effective ?? [];
  if (effective === "none") assert.deepEqual(has, [], step);
  if (effective === "all")
    assert.ok(has.length >= 38 && has.includes("CAP_CHOWN") && has.includes("CAP_SYS_ADMIN"), step);
  if (effective === "not CAP_CHOWN")
    assert.ok(!has.includes("CAP_CHOWN") && has.includes("CAP_SYS_ADMIN"), step);
}

test("every event names its process, and the process that started it", () => {
  const exec = events.find((event) => execOf(event)?.process.binary === program)?.process_exec as Exec;
  assert.equal(exec.process.arguments, STEPS.map(({ step }) => step).join(" "));
  assert.equal(exec.process.cwd, directory);
  assert.equal(exec.process.uid, 0);
  assert.equal(exec.process.in_init_tree, true);
  const [node, , pid] = Buffer.from(exec.process.exec_id, "base64").toString().split(":");
  assert.deepEqual([node, pid], [hostname(), String(exec.process.pid)]);

  const own = kprobes.filter(({ process }) => process.binary === program);
  for (const { process, parent, action, return_action } of own) {
    const { refcnt: _, ...told } = process as Process & { refcnt?: number };
    assert.deepEqual(told, withoutCount(exec.process));
    assert.equal(parent.exec_id, exec.process.parent_exec_id);
    assert.deepEqual([action, return_action], ["KPROBE_ACTION_POST", "KPROBE_ACTION_POST"]);
  }
  const exits = exitsOf(events, "change-ids").map((event) => (event.process_exit as Exec).process.exec_id);
  assert.deepEqual(exits, [exec.process.exec_id]);
});

interface Exec {
  process: Process;
  parent: Process;
}

function execOf(event: ExportedEvent): Exec | undefined {
  return event.process_exec as Exec | undefined;
}

function withoutCount(process: Process): Process {
  const { refcnt: _, ...rest } = process as Process & { refcnt?: number };
  return rest;
}

test("a set-user-id program is reported with the credentials that it gains", async () => {
  const setuidProgram = join(directory, "suid-change-ids");
  await copyFile(program, setuidProgram);
  await chmod(setuidProgram, 0o4755);
  await chmod(directory, 0o755);
  const count = kprobes.length;
  await trigger(["setresgid:11:11:11", "setresuid:11:11:11", `exec:${setuidProgram}`, "setresuid:0:0:0"]);
  const fresh = ofPolicy(kprobesOf(await agent.events()).slice(count), "every.commit");
  const gained = fresh[3]?.args[0]?.process_credentials_arg as Credentials;
  checkCredentials(
    gained,
    { uid: 11, gid: 11, euid: 0, egid: 11, suid: 0, sgid: 11, fsuid: 0, fsgid: 11 },
    {
      step: "exec",
      result: "",
      effective: "all",
    },
  );
  assert.equal(fresh.length, 5);
});

test("policies that exclude the host post nothing outside a pid namespace", async () => {
  const count = kprobesOf(await agent.events()).length;
  await runProgram(program, ["setuid:0", `setresuid:${NOBODY}:${NOBODY}:${NOBODY}`], { cwd: directory });
  await trigger(["setuid:0"]);
  const fresh = kprobesOf(await agent.events()).slice(count);
  assert.deepEqual(
    fresh.map(({ function_name }) => function_name),
    ["commit_creds", `${SYSCALL_PREFIX}sys_setuid`, "commit_creds"],
  );
});

/** The eight calls by the 32-bit ABI, with 32-bit and with 16-bit ids: arguments of call-32. */
const CALLS_32: { step: string; call: string; args: number[]; name: string }[] = [
  { step: "214:7", call: "setgid", args: [7], name: "setgid32" },
  { step: "46:7", call: "setgid", args: [7], name: "setgid" },
  { step: "204:-1:8", call: "setregid", args: [-1, 8], name: "setregid32" },
  { step: "71:65535:8", call: "setregid", args: [-1, 8], name: "setregid" },
  { step: "210:1:2:3", call: "setresgid", args: [1, 2, 3], name: "setresgid32" },
  { step: "170:1:2:3", call: "setresgid", args: [1, 2, 3], name: "setresgid" },
  { step: "216:4", call: "setfsgid", args: [4], name: "setfsgid32" },
  { step: "139:4", call: "setfsgid", args: [4], name: "setfsgid" },
  { step: "213:0", call: "setuid", args: [0], name: "setuid32" },
  { step: "sysenter:213:0", call: "setuid", args: [0], name: "setuid32" },
  { step: "23:0", call: "setuid", args: [0], name: "setuid" },
  { step: "203:-1:0", call: "setreuid", args: [-1, 0], name: "setreuid32" },
  { step: "70:65535:0", call: "setreuid", args: [-1, 0], name: "setreuid" },
  { step: "208:0:-1:0", call: "setresuid", args: [0, -1, 0], name: "setresuid32" },
  { step: "164:0:65535:0", call: "setresuid", args: [0, -1, 0], name: "setresuid" },
  { step: "215:1003", call: "setfsuid", args: [1003], name: "setfsuid32" },
  { step: "138:0", call: "setfsuid", args: [0], name: "setfsuid" },
];

test("a 32-bit program is reported like any other, with the calls of its ABI", async () => {
  const program32 = join(directory, "call-32");
  await copyFile(join(ROOT, "build/guest/call-32"), program32);
  const count = kprobesOf(await agent.events()).length;
  await trigger(
    CALLS_32.map(({ step }) => step),
    program32,
  );
  const fresh = kprobesOf(await agent.events()).slice(count);
  const calls = ofPolicy(fresh, SYSCALL_POLICY_NAME);
  assert.deepEqual(
    calls.map(({ function_name, args, system_call }) => [function_name, args, system_call]),
    CALLS_32.map(({ step, call, args, name }) => [
      `__x64_sys_${call}`,
      args.map((int_arg) => ({ int_arg })),
      { id: Number(/\d+/.exec(step)?.[0]), name, abi: "i386" },
    ]),
  );
  const [exec, ...commits] = ofPolicy(fresh, "every.commit");
  assert.deepEqual([exec?.system_call?.name, exec?.in_exec], ["execve", true]);
  const names = CALLS_32.map(({ name }) => name);
  // Newer kernels commit nothing where nothing changes.
  assert.ok(commits.length >= 8, `${commits.length}`);
  for (const { system_call, in_exec } of commits) {
    assert.ok(names.includes(system_call?.name ?? ""), JSON.stringify(system_call));
    assert.deepEqual([system_call?.abi, in_exec], ["i386", undefined]);
  }
});

/** The same by the x32 ABI, whose numbers have bit 30: arguments of act. */
test("a caller of the x32 ABI is reported with that ABI", async () => {
  const X32 = 0x4000_0000;
  const calls = { setgid: [106, 7], setfsuid: [122, 1003], setuid: [105, 0] } as const;
  const count = kprobesOf(await agent.events()).length;
  await trigger(
    Object.values(calls).flatMap(([number, id]) => ["call", `${X32 + number}:${id}`]),
    join(ROOT, "build/guest/act"),
  );
  const fresh = kprobesOf(await agent.events()).slice(count);
  assert.deepEqual(
    ofPolicy(fresh, SYSCALL_POLICY_NAME).map(({ function_name, args, system_call }) => [
      function_name,
      args,
      system_call,
    ]),
    Object.entries(calls).map(([name, [id, int_arg]]) => [
      `__x64_sys_${name}`,
      [{ int_arg }],
      { id, name, abi: "x32" },
    ]),
  );
});

test("the metrics count what was exported, and nothing was lost", async () => {
  const exported = kprobesOf(await agent.events());
  const metrics = await agent.get("/metrics");
  for (const policy of [SYSCALL_POLICY_NAME, "every.commit"]) {
    assert.equal(sum(metrics, `trigon_policy_events_total`, policy), ofPolicy(exported, policy).length);
    assert.equal(sum(metrics, `trigon_hook_lost_total`, policy), 0);
  }
});

function sum(metrics: string, name: string, policy: string): number {
  const lines = metrics
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) && line.includes(`policy="${policy}"`));
  assert.ok(lines.length > 0, `${name} of ${policy}`);
  return lines.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" "))), 0);
}

test("SIGTERM drains and ends with status 0", async () => {
  const output = runProgram("unshare", ["--pid", "--fork", "--mount-proc", program, "setuid:0"]);
  await output;
  const before = kprobes.length;
  assert.equal(await agent.stop("SIGTERM"), 0);
  const last = kprobesOf(await agent.events());
  assert.ok(last.length > before);
  assert.equal(last.at(-1)?.function_name, "commit_creds");
});
