import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { NodeFields } from "./events/node-fields.ts";
import { MemorySink, makeHit, makeHookDef, setupShell } from "./events/testing/pipeline.ts";
import type { ExportConfig } from "./export-config.ts";
import { ExportSide } from "./export-side.ts";
import { compileRedaction, type Redact } from "./process/redaction.ts";
import { credSlot, makeBatch, makeExec, makeExit } from "./records/testing/records.ts";

const CONFIG: ExportConfig = {
  mode: 0o600,
  rotation: { maxBytes: 0, intervalMs: 0, maxBackups: 0, compress: false },
  allow: [],
  deny: [],
  fields: [],
};
const exec = makeExec({ pid: 11, seq: 1, ktimeNs: 40_000_000n, filename: "/bin/id", parentPid: 10 });
const exit = makeExit({ pid: 11, seq: 1, ktimeNs: 50_000_000n, code: 0 });

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

async function setup(config: Partial<ExportConfig> = {}, node: NodeFields = {}, redact?: Redact) {
  const { pipeline, wallClock } = setupShell(makeHookDef(), { cache: { redact } });
  const sink = new MemorySink();
  const registry = new Registry();
  const encoding = { nodeName: "node-1", clock: wallClock, node };
  const exported = new ExportSide({ sink, encoding, registry, pipeline });
  await exported.apply({ ...CONFIG, ...config });
  const lines = () => sink.takeLines().map((line) => JSON.parse(line));
  const runs = (...records: Parameters<typeof makeBatch>) => {
    pipeline.handleBatch(makeBatch(...records));
    return lines();
  };
  /** The export's lines of an execution, a hit of the shell's hook and an exit. */
  const run = () => runs(exec, makeHit([credSlot({ uid: 7 })]), exit);
  return { exported, run, runs, lines, registry };
}

const typesOf = (lines: object[]) => lines.map((line) => Object.keys(line)[0]);

test("without filters every event is exported", async () => {
  const { run } = await setup();
  expect(typesOf(run())).toEqual(["process_exec", "process_kprobe", "process_exit"]);
});

test("allow list and deny list choose events", async () => {
  const { run } = await setup({
    allow: [{ event_set: ["PROCESS_EXEC", "PROCESS_KPROBE"] }],
    deny: [{ binary_regex: ["/bin/id"] }],
  });
  expect(typesOf(run())).toEqual(["process_kprobe"]);
});

test("a filter may be a CEL expression", async () => {
  const { run } = await setup({ allow: [{ cel_expression: ["process_exec.process.pid == 11u"] }] });
  expect(typesOf(run())).toEqual(["process_exec"]);
});

describe("field filters", () => {
  test("include", async () => {
    const { run } = await setup({
      fields: [{ event_set: ["PROCESS_EXEC"], fields: "process.binary,process.pid", action: "INCLUDE" }],
    });
    const [line, hit] = run();
    expect(line).toEqual({
      process_exec: { process: { binary: "/bin/id", pid: 11 } },
      node_name: "node-1",
      time: expect.any(String),
    });
    expect(hit.process_kprobe.process).toHaveProperty("exec_id");
  });

  test("exclude, also in each element of a list, and one filter after the other", async () => {
    const { run } = await setup({
      fields: [
        {
          event_set: ["PROCESS_EXEC"],
          invert_event_set: true,
          fields: "parent,args.process_credentials_arg",
        },
        { fields: "process", action: "EXCLUDE" },
      ].map((filter) => ({ action: "EXCLUDE", ...filter })),
    });
    const [line, hit] = run();
    expect(Object.keys(line.process_exec)).toEqual(["parent"]);
    expect(hit.process_kprobe).not.toHaveProperty("parent");
    expect(hit.process_kprobe.args).toEqual([{}]);
  });
});

describe("a rate limit", () => {
  test("drops what exceeds it, per policy counted, and says so in the export after a minute", async () => {
    const { run, lines, registry } = await setup({ rateLimit: 1 });
    expect(typesOf(run())).toEqual(["process_exec"]);
    vi.advanceTimersByTime(60_000);
    expect(lines()).toEqual([
      {
        rate_limit_info: { number_of_dropped_process_events: "2" },
        node_name: "node-1",
        time: expect.stringMatching(/^\d{4}-.*Z$/),
      },
    ]);
    const text = await registry.metrics();
    const dropped = "trigon_export_ratelimit_events_dropped_total";
    expect(text).toMatch(new RegExp(`${dropped}\\{policy="",policy_namespace=""\\} 1`));
    expect(text).toMatch(new RegExp(`${dropped}\\{policy="[^"]+",policy_namespace=""\\} 1`));
  });

  test("does not count what a filter drops", async () => {
    const { run, registry } = await setup({
      rateLimit: 1,
      deny: [{ event_set: ["PROCESS_KPROBE", "PROCESS_EXIT"] }],
    });
    expect(typesOf(run())).toEqual(["process_exec"]);
    expect(await registry.metrics()).not.toMatch(/dropped_total\{/);
  });
});

test("a new configuration holds from the next event on, without a loss", async () => {
  const { exported, run } = await setup({ allow: [{ event_set: ["PROCESS_EXEC"] }] });
  expect(typesOf(run())).toEqual(["process_exec"]);
  await exported.apply(CONFIG);
  expect(typesOf(run())).toContain("process_kprobe");
});

test("a configuration that cannot be used changes nothing", async () => {
  const { exported, run } = await setup({ allow: [{ event_set: ["PROCESS_EXEC"] }] });
  await expect(exported.apply({ ...CONFIG, allow: [{ cel_expression: ["1 +"] }] })).rejects.toThrow(
    /allow_list\[0\]\.cel_expression\[0\]: "1 \+" is no CEL expression/,
  );
  expect(typesOf(run())).toEqual(["process_exec"]);
});

test("events show the cluster, and the labels that the node has now", async () => {
  const node: NodeFields = { clusterName: 'my "cluster"' };
  const { run } = await setup({}, node);
  expect(run()[0]).toMatchObject({ cluster_name: 'my "cluster"' });
  node.labels = { zone: "a" };
  expect(run()[0]).toMatchObject({ cluster_name: 'my "cluster"', node_labels: { zone: "a" } });
  node.labels = {};
  expect(run()[0]).not.toHaveProperty("node_labels");
});

test("arguments are hidden in every event of the process, and from filters", async () => {
  const redact = compileRedaction([{ redact: ["--password (\\w+)"] }]);
  const { exported, runs } = await setup({}, {}, redact);
  const mysql = makeExec({
    pid: 12,
    seq: 1,
    ktimeNs: 41_000_000n,
    filename: "/bin/mysql",
    parentPid: 10,
    argv: ["mysql", "--password", "secret"],
  });
  const end = makeExit({ pid: 12, seq: 1, ktimeNs: 51_000_000n, code: 0 });
  const lines = runs(mysql, end);
  expect(lines.map((line) => Object.values<ProcessEvent>(line)[0]?.process.arguments)).toEqual([
    "--password *****",
    "--password *****",
  ]);
  await exported.apply({ ...CONFIG, allow: [{ arguments_regex: ["secret"] }] });
  expect(runs(mysql)).toEqual([]);
});

interface ProcessEvent {
  process: { arguments: string };
}
