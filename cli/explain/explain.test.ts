import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCommand } from "../program.ts";
import { TestStreams } from "../testing/streams.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "trigon-explain-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function explain(policy: string, events?: object[]) {
  const file = join(directory, "policy.yaml");
  const exported = join(directory, "events.json");
  writeFileSync(file, policy);
  writeFileSync(
    exported,
    `a line of the log\n${(events ?? []).map((event) => JSON.stringify(event)).join("\n")}\n`,
  );
  const streams = new TestStreams();
  const args = ["explain", file, ...(events ? ["--events", exported] : [])];
  const status = await runCommand(args, "1.2.3", streams);
  return { status, lines: streams.lines.map((line) => line.trim()), errors: streams.errors };
}

function policy(selectors: string, hook = "call: sys_setuid, args: [{index: 0, type: int}]"): string {
  return `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: p}
spec:
  kprobes:
  - {${hook}, selectors: [${selectors}]}
`;
}

const CREDS = "call: commit_creds, syscall: false, args: [{index: 0, type: cred}]";

const setuid = (more: object = {}) => ({
  process_kprobe: {
    process: { pid: 7, binary: "/usr/bin/su", ns: { pid: { inum: 5, is_host: false } } },
    parent: { binary: "/bin/sh" },
    function_name: "__x64_sys_setuid",
    policy_name: "p",
    args: [{ int_arg: 0 }],
    ...more,
  },
});
const creds = (credential_change: object) => ({
  process_kprobe: { process: { pid: 7 }, function_name: "commit_creds", policy_name: "p", credential_change },
});

describe("a policy", () => {
  test("is explained hook by hook, filters in the kernel's order", async () => {
    const { status, lines } = await explain(
      policy(
        "{matchArgs: [{index: 0, operator: Equal, values: ['0']}], matchPIDs: [{operator: NotIn, values: [1]}], matchActions: [{action: Sigkill}]}",
      ),
    );
    expect(status).toBe(0);
    expect(lines).toEqual([
      "TracingPolicy/p",
      "runs on: every node",
      "spec.kprobes[0] sys_setuid (system call)",
      "attached by: fentry; where the kernel refuses it: kprobe, then the system call's tracepoint",
      "kprobe comes first on kernels that preempt programs",
      "cost: about 123 instructions in each call, before any filter",
      "reads: arg0 (int)",
      "selectors[0]: in the kernel, in this order, until one does not hold",
      "1. pid is none of 1 [reads the process]",
      "2. arg0 (int) is one of 0 [reads one argument]",
      "then: kill the process, post",
      "a posted event: about 503 instructions",
      "noise: each call that a selector matches is posted; nothing is known against that",
    ]);
  });

  test("that is noisy is called so", async () => {
    const { lines } = await explain(policy("", CREDS));
    expect(lines.join("\n")).toContain("filters: none, each call posts");
    expect(lines.join("\n")).toMatch(/noise: commit_creds runs at every exec/);
  });

  test("that is invalid is refused with the place", async () => {
    const { status, errors } = await explain(
      policy("", "call: sys_setuid, args: [{index: 0, type: nothing}]"),
    );
    expect(errors[0]).toMatch(/policy\.yaml:6:\d+: spec\.kprobes\[0\]\.args\[0\]\.type: /);
    expect(status).toBe(1);
  });

  test("an events file that is not there is a usage error", async () => {
    writeFileSync(join(directory, "policy.yaml"), policy(""));
    const streams = new TestStreams();
    const args = ["explain", join(directory, "policy.yaml"), "--events", "/nowhere"];
    expect(await runCommand(args, "1", streams)).toBe(2);
    expect(streams.errors).toEqual([expect.stringContaining("ENOENT")]);
  });
});

describe("events", () => {
  const all = "it would have posted";
  const cases: Record<string, { policy: string; event: object; posted?: number; says?: string }> = {
    "an argument that is equal": {
      policy: policy("{matchArgs: [{index: 0, operator: Equal, values: ['0']}]}"),
      event: setuid(),
      posted: 1,
    },
    "an argument that is not": {
      policy: policy("{matchArgs: [{index: 0, operator: Equal, values: ['0']}]}"),
      event: setuid({ args: [{ int_arg: 5 }] }),
      posted: 0,
    },
    "an argument of another policy's event": {
      policy: policy("{matchArgs: [{index: 0, operator: Equal, values: ['0']}]}"),
      event: setuid({ policy_name: "other" }),
      says: "of 1 it cannot be said: the event is of another policy",
    },
    "an argument that could not be read": {
      policy: policy("{matchArgs: [{index: 0, operator: Equal, values: ['0']}]}"),
      event: setuid({ args: [{ error_arg: { Message: "Bad address" } }] }),
      says: "of 1 it cannot be said: the event does not show the argument",
    },
    "a pid that is excluded": {
      policy: policy("{matchPIDs: [{operator: NotIn, values: [7]}]}"),
      event: setuid(),
      posted: 0,
    },
    "a pid in a namespace": {
      policy: policy("{matchPIDs: [{operator: In, isNamespacePID: true, values: [7]}]}"),
      event: setuid(),
      says: "of 1 it cannot be said: an event has neither pids in namespaces",
    },
    "a binary": {
      policy: policy("{matchBinaries: [{operator: Postfix, values: ['/su']}]}"),
      event: setuid(),
      posted: 1,
    },
    "a parent's binary that is excluded": {
      policy: policy("{matchParentBinaries: [{operator: NotIn, values: ['/bin/sh']}]}"),
      event: setuid(),
      posted: 0,
    },
    "a namespace": {
      policy: policy("{matchNamespaces: [{namespace: Pid, operator: NotIn, values: [host_ns]}]}"),
      event: setuid(),
      posted: 1,
    },
    "a namespace that the event does not have": {
      policy: policy("{matchNamespaces: [{namespace: Net, operator: NotIn, values: [host_ns]}]}"),
      event: setuid(),
      says: "of 1 it cannot be said: the event has no namespaces",
    },
    "credentials at the time of the call": {
      policy: policy("{matchCurrentCred: [{field: uid, operator: Equal, values: ['0']}]}"),
      event: setuid(),
      says: "of 1 it cannot be said: an event does not have the caller's credentials",
    },
    "what is unknown beside what does not match": {
      policy: policy(
        "{matchCurrentCred: [{field: uid, operator: Equal, values: ['0']}], matchPIDs: [{operator: In, values: [1]}]}",
      ),
      event: setuid(),
      posted: 0,
    },
    "a capability that is raised": {
      policy: policy("{matchCredChanges: [{fields: [capEffective], change: Raised}]}", CREDS),
      event: creds({ cap_effective: { added: ["CAP_CHOWN"] } }),
      posted: 1,
    },
    "a capability that is dropped": {
      policy: policy("{matchCredChanges: [{fields: [capEffective], change: Raised}]}", CREDS),
      event: creds({ cap_effective: { removed: ["CAP_CHOWN"] } }),
      posted: 0,
    },
    "an id that becomes 0": {
      policy: policy("{matchCredChanges: [{fields: [any], change: Raised}]}", CREDS),
      event: creds({ euid: { old: 1000, new: 0 } }),
      posted: 1,
    },
    "an id among others": {
      policy: policy("{matchCredChanges: [{fields: [euid], change: Raised}]}", CREDS),
      event: creds({ euid: { old: 1000, new: 999 } }),
      says: "of 1 it cannot be said: of other changes",
    },
    "a field that does not change": {
      policy: policy("{matchCredChanges: [{fields: [euid], change: Changed}]}", CREDS),
      event: creds({ uid: { old: 1000, new: 0 } }),
      posted: 0,
    },
    "a return value": {
      policy: policy(
        "{matchReturnArgs: [{operator: Equal, values: ['-1']}]}",
        "call: sys_setuid, return: true, returnArg: {index: 0, type: int}",
      ),
      event: setuid({ return: { int_arg: -1 } }),
      posted: 1,
    },
    "a path that is returned": {
      policy: policy(
        "{matchReturnArgs: [{operator: Prefix, values: [/etc/]}]}",
        "call: do_filp_open, syscall: false, return: true, returnArg: {index: 0, type: file}",
      ),
      event: setuid({ function_name: "do_filp_open", return: { file_arg: { path: "/etc/shadow" } } }),
      posted: 1,
    },
  };
  test.each(Object.entries(cases))("%s", async (_name, { policy: text, event, posted = 0, says }) => {
    const { lines } = await explain(text, [event, { process_exec: {} }, setuid({ function_name: "other" })]);
    expect(lines).toContain(`of 1 events of this hook ${all} ${posted}`);
    if (says === undefined) expect(lines.join("\n")).not.toContain("cannot be said");
    else expect(lines.some((line) => line.startsWith(says))).toBe(true);
  });

  test("are posted by the first selector that matches", async () => {
    const { lines } = await explain(
      policy(
        "{matchPIDs: [{operator: In, values: [7]}], matchActions: [{action: NoPost}]}, {matchBinaries: [{operator: In, values: [/usr/bin/su]}]}",
      ),
      [setuid()],
    );
    expect(lines).toContain("of 1 events of this hook it would have left out 1");
    expect(lines).toContain("of 1 events of this hook it would have posted 0");
  });
});
