import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { makeHookDef, makePipeline } from "../events/testing/pipeline.ts";
import { PodStore } from "../pods/pod-store.ts";
import { credSlot, makeBatch, makeExec, makeExit, makeFork, makeHook } from "../records/testing/records.ts";
import { EventMetrics, eventType, hookLabel } from "./event-metrics.ts";

const policy = { kind: "TracingPolicyNamespaced", namespace: "shop", name: "creds" } as const;

/** Samples of a metric as `{labels} value` lines. */
async function samples(registry: Registry, name: string): Promise<string[]> {
  const text = await registry.getSingleMetricAsString(name);
  return text
    .split("\n")
    .filter((line) => line.startsWith(name))
    .map((line) => line.slice(name.length));
}

test("detections are counted by policy, hook and where they came from", async () => {
  const store = new PodStore();
  const id = "a".repeat(64);
  store.put({
    metadata: { name: "p", namespace: "ns", uid: "u" },
    status: { containerStatuses: [{ name: "c", containerID: `containerd://${id}` }] },
  });
  const { pipeline, registry } = makePipeline({ store });
  pipeline.registerHook(1, { policy, def: makeHookDef(), functionName: "commit_creds" });
  const run = (pid: number, filename: string, cgroup?: string) =>
    makeExec({ pid, seq: 1, ktimeNs: 1n, filename, parentPid: 0, ...(cgroup !== undefined && { cgroup }) });
  const hit = (pid: number) => makeHook({ pid, seq: 1, ktimeNs: 2n, hookId: 1, slots: [credSlot({})] });
  pipeline.handleBatch(
    makeBatch(
      run(10, "/bin/su"),
      run(11, "/bin/sh", id),
      hit(10),
      hit(11),
      hit(10),
      hit(11),
      hit(11),
      makeExit({ pid: 10, ktimeNs: 3n }),
    ),
  );
  expect(await samples(registry, "trigon_policy_events_total")).toEqual([
    '{policy="creds",policy_namespace="shop",hook="kprobe:commit_creds",node_name="node-1",namespace="",workload="",pod="",binary="/bin/su"} 2',
    '{policy="creds",policy_namespace="shop",hook="kprobe:commit_creds",node_name="node-1",namespace="ns",workload="p",pod="p",binary="/bin/sh"} 3',
  ]);
  const types = await samples(registry, "trigon_events_total");
  expect(types).toContain(
    '{type="PROCESS_KPROBE",node_name="node-1",namespace="ns",workload="p",pod="p",binary="/bin/sh"} 3',
  );
  expect(types).toContain(
    '{type="PROCESS_EXIT",node_name="node-1",namespace="",workload="",pod="",binary="/bin/su"} 1',
  );
});

test("records are counted by message, executed processes by their flags", async () => {
  const { pipeline, registry } = makePipeline();
  const capset = makeHookDef({ section: "lsmhooks", call: "capset", path: "spec.lsmhooks[0]" });
  pipeline.registerHook(1, { policy, def: makeHookDef(), functionName: "commit_creds" });
  pipeline.registerHook(2, { policy, def: capset, functionName: "bpf_lsm_capset" });
  const hit = (hookId: number) => makeHook({ pid: 10, seq: 1, ktimeNs: 2n, hookId, slots: [credSlot({})] });
  pipeline.handleBatch(
    makeBatch(
      makeExec({ pid: 10, seq: 1, ktimeNs: 1n, filename: "/bin/su", parentPid: 0, cwd: "/" }),
      makeExec({ pid: 11, seq: 1, ktimeNs: 1n, filename: "/bin/su", parentPid: 0, cwd: "/srv" }),
      makeFork({ pid: 12, seq: 1, ktimeNs: 2n, parentPid: 10 }),
      hit(1),
      hit(2),
      hit(1),
      makeExit({ pid: 12, seq: 1, ktimeNs: 3n }),
    ),
  );
  expect(await samples(registry, "trigon_msg_op_total")).toEqual([
    '{msg_op="5"} 2',
    '{msg_op="7"} 1',
    '{msg_op="13"} 2',
    '{msg_op="14"} 0',
    '{msg_op="16"} 1',
    '{msg_op="23"} 1',
    '{msg_op="25"} 0',
  ]);
  expect(await samples(registry, "trigon_flags_total")).toEqual([
    '{type="execve"} 2',
    '{type="rootcwd"} 1',
    '{type="clone"} 2',
  ]);
});

test("system calls are counted by name where a hook sees all of them", async () => {
  const { pipeline, registry } = makePipeline();
  const call = "raw_syscalls/sys_enter";
  const entry = makeHookDef({ section: "tracepoints", call, path: "spec.tracepoints[0]", args: [] });
  pipeline.registerHook(1, { policy, def: entry, functionName: "sys_enter" });
  pipeline.registerHook(2, { policy, def: makeHookDef(), functionName: "commit_creds" });
  const hit = (syscall: number, hookId = 1) =>
    makeHook({ pid: 10, seq: 1, ktimeNs: 2n, hookId, slots: hookId === 2 ? [credSlot({})] : [], syscall });
  pipeline.handleBatch(
    makeBatch(
      makeExec({ pid: 10, seq: 1, ktimeNs: 1n, filename: "/bin/su", parentPid: 0 }),
      ...[105, 105, 0x8000_0017, 106, 9_999, 9_998].map((number) => hit(number)),
      hit(105, 2),
    ),
  );
  const process = 'node_name="node-1",namespace="",workload="",pod="",binary="/bin/su"';
  expect(await samples(registry, "trigon_syscalls_total")).toEqual([
    `{syscall="setuid",${process}} 3`,
    `{syscall="setgid",${process}} 1`,
    `{syscall="unknown",${process}} 2`,
  ]);
});

test("label sets are bounded", async () => {
  const { pipeline, registry } = makePipeline();
  const records = Array.from({ length: 3000 }, (_, i) =>
    makeExec({ pid: 100 + i, ktimeNs: 1n, filename: `/tmp/${i}`, parentPid: 0 }),
  );
  pipeline.handleBatch(makeBatch(...records));
  const lines = await samples(registry, "trigon_events_total");
  expect(lines).toHaveLength(201);
  expect(lines.at(-1)).toBe(
    '{type="PROCESS_EXEC",node_name="node-1",namespace="",workload="",pod="",binary=""} 2800',
  );
});

test.each([
  ["kprobes", "sys_setuid", "__x64_sys_setuid", "kprobe:__x64_sys_setuid", "PROCESS_KPROBE"],
  ["fentries", "commit_creds", "commit_creds", "fentry:commit_creds", "PROCESS_KPROBE"],
  ["lsmhooks", "capset", "bpf_lsm_capset", "lsm:capset", "PROCESS_LSM"],
  [
    "tracepoints",
    "syscalls/sys_enter_setuid",
    "x",
    "tracepoint:syscalls/sys_enter_setuid",
    "PROCESS_TRACEPOINT",
  ],
] as const)(
  "hooks of %s are labelled by what the policy names",
  (section, call, functionName, label, type) => {
    expect(hookLabel({ def: { section, call }, functionName })).toBe(label);
    expect(eventType(section)).toBe(type);
  },
);

test("a replaced hook goes on counting, a policy that is gone leaves the registry", async () => {
  const registry = new Registry();
  const metrics = new EventMetrics(registry, "node-1");
  const def = { section: "lsmhooks", call: "capset" } as const;
  const label = hookLabel({ def, functionName: "bpf_lsm_capset" });
  expect(metrics.ofHook(policy, label)).toBe(metrics.ofHook({ ...policy }, "lsm:capset"));
  metrics.forgetPolicy(policy);
  expect(await samples(registry, "trigon_policy_events_total")).toEqual([]);
});
