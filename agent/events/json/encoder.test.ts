import { describe, expect, test } from "vitest";
import type { ArgDef } from "../../../crds/hook-spec.ts";
import {
  EXEC_FILE_CAPS,
  EXEC_PRIVILEGES_KNOWN,
  EXEC_SETGID,
  EXEC_SETGID_ROOT,
  EXEC_SETUID,
  EXEC_SETUID_ROOT,
} from "../../records/layout.ts";
import {
  credSlot,
  integerSlot,
  makeBatch,
  makeExec,
  makeExit,
  makeFork,
} from "../../records/testing/records.ts";
import {
  makeHit,
  makeHookDef,
  parseLines,
  SHELL_EXEC,
  setupShell,
  TEST_POLICY,
} from "../testing/pipeline.ts";

const MS = 1_000_000n;

describe("whole lines, byte for byte", () => {
  test("process_kprobe has its fields in the order of upstream's message", () => {
    const def = makeHookDef({
      call: "sys_setreuid",
      syscall: true,
      args: [
        { index: 0, type: "int" },
        { index: 1, type: "int", label: "euid" },
      ],
      message: "ids",
      tags: ["a", "b"],
    });
    const { pipeline, sink } = setupShell(def);
    pipeline.handleBatch(makeBatch(makeHit([integerSlot(-1), integerSlot(0)])));
    const execId = Buffer.from("node-1:20000000:10").toString("base64");
    const kernelId = Buffer.from("node-1:1:0").toString("base64");
    expect(sink.takeLines()).toEqual([
      `{"process_kprobe":{"process":{"exec_id":"${execId}","pid":10,"uid":0,"cwd":"/","binary":"/bin/sh",` +
        `"flags":"execve rootcwd clone","start_time":"2026-11-20T10:00:00.020Z","auid":4294967295,` +
        `"parent_exec_id":"${kernelId}","refcnt":1,"tid":10,"in_init_tree":false},"parent":{"exec_id":"${kernelId}",` +
        `"pid":0,"uid":0,"binary":"<kernel>","flags":"procFS","start_time":"2026-11-20T10:00:00.000000001Z",` +
        `"auid":4294967295,"tid":0,"in_init_tree":false},"function_name":"__x64_sys_setreuid",` +
        `"args":[{"int_arg":-1},{"int_arg":0,"label":"euid"}],"action":"KPROBE_ACTION_POST","policy_name":"creds",` +
        `"return_action":"KPROBE_ACTION_POST","message":"ids","tags":["a","b"]},"node_name":"node-1",` +
        `"time":"2026-11-20T10:00:00.030Z"}`,
    ]);
  });

  test("process_exit shows status and inner time", () => {
    const { pipeline, sink } = setupShell();
    pipeline.handleBatch(makeBatch(makeExit({ pid: 10, ktimeNs: 30n * MS, seq: 1, code: 1 << 8 })));
    const [line] = sink.takeLines();
    expect(line).toMatch(
      /"tid":0,"in_init_tree":false},"status":1,"time":"2026-11-20T10:00:00.030Z"},"node_name":"node-1","time":"2026-11-20T10:00:00.030Z"}$/,
    );
  });
});

describe("hook events", () => {
  test("a nop argument leaves no element, and nothing but nops no args", () => {
    const args: ArgDef[] = [
      { index: 0, type: "nop" },
      { index: 1, type: "int" },
    ];
    const { pipeline, sink } = setupShell(makeHookDef({ args }));
    pipeline.registerHook(8, {
      policy: TEST_POLICY,
      def: makeHookDef({ args: args.slice(0, 1) }),
      functionName: "f",
    });
    const nop = { payload: new Uint8Array(0) };
    pipeline.handleBatch(makeBatch(makeHit([nop, integerSlot(5)]), makeHit([nop], { hookId: 8 })));
    const [both, only] = parseLines(sink.takeLines());
    expect(both.process_kprobe.args).toEqual([{ int_arg: 5 }]);
    expect(only.process_kprobe).not.toHaveProperty("args");
  });

  test("a thread other than the leader is shown by its tid", () => {
    const { pipeline, sink } = setupShell();
    pipeline.handleBatch(makeBatch(makeHit([credSlot({})]), makeHit([credSlot({})], { tid: 4242 })));
    const [leader, thread] = parseLines(sink.takeLines());
    expect([leader.process_kprobe.process.tid, thread.process_kprobe.process.tid]).toEqual([10, 4242]);
    leader.process_kprobe.process.tid = 4242;
    expect(JSON.stringify(thread)).toBe(JSON.stringify(leader));
  });

  test("the action is the record's", () => {
    const { pipeline, sink } = setupShell();
    pipeline.handleBatch(
      makeBatch(makeHit([credSlot({})], { action: 5 }), makeHit([credSlot({})], { action: 3 })),
    );
    const events = parseLines(sink.takeLines());
    expect(events.map((event) => event.process_kprobe.action)).toEqual([
      "KPROBE_ACTION_OVERRIDE",
      "KPROBE_ACTION_SIGKILL",
    ]);
  });

  test("an LSM hook is a process_lsm in that message's order", () => {
    const { pipeline, sink } = setupShell(makeHookDef({ section: "lsmhooks", message: "m", tags: ["t"] }));
    pipeline.handleBatch(makeBatch(makeHit([credSlot({})])));
    const [event] = parseLines(sink.takeLines());
    expect(Object.keys(event.process_lsm)).toEqual([
      "process",
      "parent",
      "function_name",
      "policy_name",
      "message",
      "args",
      "action",
      "tags",
    ]);
  });
});

describe("process events", () => {
  test("a signal is named, with no status", () => {
    const { pipeline, sink } = setupShell();
    pipeline.handleBatch(makeBatch(makeExit({ pid: 10, ktimeNs: 30n * MS, seq: 1, code: 0x80 | 6 })));
    const [event] = parseLines(sink.takeLines());
    expect(event.process_exit.signal).toBe("SIGABRT");
    expect(event.process_exit).not.toHaveProperty("status");
  });

  test("capabilities, credentials and namespaces are shown when asked for", () => {
    const host = {
      uts: 1,
      ipc: 2,
      mnt: 3,
      pid: 4,
      pid_for_children: 4,
      net: 5,
      time: 6,
      time_for_children: 6,
      cgroup: 7,
      user: 8,
    };
    const { pipeline, sink } = setupShell(makeHookDef(), {
      cache: { keepCredentials: true, keepNamespaces: true },
      processFields: { credentials: true, namespaces: true, hostNamespaces: host },
    });
    pipeline.handleBatch(
      makeBatch(
        makeExec({
          ...SHELL_EXEC,
          pid: 11,
          cred: { uid: 1000, euid: 0, cap_effective: 1n, securebits: 16 },
          namespaces: { uts: 1, pid: 99, user: 8 },
          exeLinks: 0,
        }),
      ),
    );
    const [event] = parseLines(sink.takeLines());
    const { process } = event.process_exec;
    expect(Object.keys(process).slice(-6)).toEqual([
      "cap",
      "ns",
      "tid",
      "process_credentials",
      "binary_properties",
      "in_init_tree",
    ]);
    expect(process.cap).toEqual({ effective: ["CAP_CHOWN"] });
    expect(process.ns).toEqual({
      uts: { inum: 1, is_host: true },
      pid: { inum: 99 },
      user: { inum: 8, is_host: true },
    });
    expect(process.process_credentials).toEqual({
      uid: 1000,
      gid: 0,
      euid: 0,
      egid: 0,
      suid: 0,
      sgid: 0,
      fsuid: 0,
      fsgid: 0,
      securebits: ["SecBitKeepCaps"],
    });
    expect(process.binary_properties).toEqual({ file: { inode: { number: "4711", links: 0 } } });
  });

  const privileges: Record<string, { bits: number; exeLinks?: number; want: unknown }> = {
    "a set-user-id root program": {
      bits: EXEC_SETUID | EXEC_SETUID_ROOT,
      want: { setuid: 0, privileges_changed: ["PRIVILEGES_RAISED_EXEC_FILE_SETUID"] },
    },
    "a set-user-id program of somebody": { bits: EXEC_SETUID, want: { setuid: 0 } },
    "a set-group-id program": {
      bits: EXEC_SETGID | EXEC_SETGID_ROOT,
      want: { setgid: 42, privileges_changed: ["PRIVILEGES_RAISED_EXEC_FILE_SETGID"] },
    },
    "a program with everything": {
      bits: EXEC_SETUID | EXEC_SETUID_ROOT | EXEC_SETGID | EXEC_SETGID_ROOT | EXEC_FILE_CAPS,
      exeLinks: 0,
      want: {
        setuid: 0,
        setgid: 42,
        privileges_changed: [
          "PRIVILEGES_RAISED_EXEC_FILE_CAP",
          "PRIVILEGES_RAISED_EXEC_FILE_SETUID",
          "PRIVILEGES_RAISED_EXEC_FILE_SETGID",
        ],
        file: { inode: { number: "4711", links: 0 } },
      },
    },
    "a program that gives nothing": { bits: 0, want: undefined },
  };

  test.each(Object.entries(privileges))("%s is told in process_exec, and only there", (_name, row) => {
    const { pipeline, sink } = setupShell(makeHookDef(), {
      cache: { keepCredentials: true },
      processFields: { credentials: true },
    });
    const suid = { pid: 11, seq: 1, ktimeNs: 25n * MS };
    const child = { pid: 12, seq: 1, ktimeNs: 27n * MS };
    const { bits, exeLinks = 1 } = row;
    pipeline.handleBatch(
      makeBatch(
        makeExec({
          ...SHELL_EXEC,
          ...suid,
          cred: { uid: 1000, egid: 42 },
          privileges: bits | EXEC_PRIVILEGES_KNOWN,
          exeLinks,
        }),
        makeHit([credSlot({})], suid),
        makeFork({ ...child, parentPid: 11 }),
        makeHit([credSlot({})], child),
        makeExit({ ...suid, ktimeNs: 40n * MS }),
      ),
    );
    const [exec, ...others] = parseLines(sink.takeLines());
    expect(exec.process_exec.process.binary_properties).toEqual(row.want);
    expect(JSON.stringify(others)).not.toContain("binary_properties");
  });

  test("without the flag for credentials nothing of them is told", () => {
    const { pipeline, sink } = setupShell();
    const exec = { ...SHELL_EXEC, pid: 11, privileges: EXEC_SETUID | EXEC_PRIVILEGES_KNOWN, exeLinks: 0 };
    pipeline.handleBatch(makeBatch(makeExec(exec)));
    const [event] = parseLines(sink.takeLines());
    for (const key of ["binary_properties", "cap", "process_credentials", "ns"])
      expect(event.process_exec.process).not.toHaveProperty(key);
    expect(event.process_exec.process.in_init_tree).toBe(false);
  });

  test("what a security module calls a process is told in its process_exec, last", () => {
    const labels = new Map([[11, "docker-default (enforce)"]]);
    const proc = {
      read: () => undefined,
      isAlive: (pid: number) => pid !== 13,
      securityLabel: (pid: number) => labels.get(pid),
    };
    const { pipeline, sink } = setupShell(makeHookDef(), { cache: { proc } });
    labels.set(13, "of the next process with this pid");
    const execs = [11, 12, 13].map((pid) => makeExec({ ...SHELL_EXEC, pid }));
    pipeline.handleBatch(makeBatch(...execs, makeHit([credSlot({})], { pid: 11 })));
    const [labelled, unlabelled, reused, kprobe] = parseLines(sink.takeLines());
    expect(Object.entries(labelled.process_exec.process).at(-1)).toEqual([
      "security_label",
      "docker-default (enforce)",
    ]);
    for (const { process } of [unlabelled.process_exec, reused.process_exec, kprobe.process_kprobe])
      expect(process).not.toHaveProperty("security_label");
  });

  test("a process that forked and has not executed shows what its parent runs, and a reference", () => {
    const { pipeline, sink } = setupShell();
    const child = { pid: 12, seq: 1, ktimeNs: 25n * MS };
    pipeline.handleBatch(
      makeBatch(
        makeFork({ ...child, parentPid: 10 }),
        makeHit([credSlot({})], child),
        makeExit({ ...child, ktimeNs: 40n * MS }),
      ),
    );
    const [kprobe, exit] = parseLines(sink.takeLines());
    expect(kprobe.process_kprobe.process).toMatchObject({
      pid: 12,
      binary: "/bin/sh",
      flags: "execve",
      refcnt: 1,
    });
    expect(kprobe.process_kprobe.parent).toMatchObject({
      pid: 10,
      binary: "/bin/sh",
      flags: "execve rootcwd clone",
    });
    expect(exit.process_exit.process).toMatchObject({ pid: 12, refcnt: 1 });
  });
});

test("arguments are joined as upstream joins them", () => {
  const { pipeline, sink } = setupShell();
  const commands: [string[], string | undefined][] = [
    [["sh"], undefined],
    [["sh", "-c", "id -u"], '-c "id -u"'],
    [["cut", "-d ", "-f1"], ' "-d " -f1'],
    [["a", "", "b"], " b"],
  ];
  for (const [i, [argv]] of commands.entries()) {
    pipeline.handleBatch(makeBatch(makeExec({ ...SHELL_EXEC, pid: 100 + i, argv })));
  }
  const events = parseLines(sink.takeLines());
  expect(events.map((event) => event.process_exec.process.arguments)).toEqual(
    commands.map(([, want]) => want),
  );
});
