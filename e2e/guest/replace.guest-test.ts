/**
 * A policy that is edited again and again while its function is called: every call is posted once, by the old hook or by
 * the new one.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/replace.guest-test.ts
 *
 * @kernels 5.10, 6.12: user space replaces hooks; hook-attach attaches each kind on every kernel
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type AgentDeps, startAgent } from "../../agent/agent.ts";
import { loadBinding } from "../../agent/bpf/binding.ts";
import { parseCommand } from "../../agent/config.ts";
import { type EventSink, noExports } from "../../agent/events/export/sink.ts";
import { readPolicyFiles } from "../../agent/policies/sources/files.ts";
import type { DesiredPolicy, SpecSource } from "../../agent/policies/sources/source.ts";
import { createLogger } from "../../lib/logger.ts";
import { createRegistry } from "../../lib/metrics.ts";
import { ACT, NR, OBJECT } from "./test-engine.ts";

/** Only a kprobe has the registers of a function. */
const REGISTER = "data: [{ index: 0, type: uint64, source: pt_regs, resolve: sp }]";

/** Hooks of one function by attach kind. */
const POLICIES = {
  fentry: { data: "", atReturn: false },
  kprobe: { data: REGISTER, atReturn: false },
  fexit: { data: "", atReturn: true },
  kretprobe: { data: REGISTER, atReturn: true },
};
type PolicyName = keyof typeof POLICIES;
const POLICY_NAMES = Object.keys(POLICIES) as PolicyName[];

const EDITS = 4;

/** The edit is in the selector: another hook, which lets the same calls pass. */
const policyYaml = (name: PolicyName, edit: number) => `---
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: ${name} }
spec:
  kprobes:
  - call: security_task_fix_setuid
    syscall: false
    args: [{ index: 0, type: uint32, btfType: cred, resolve: fsuid.val }]
    ${POLICIES[name].data}
    ${POLICIES[name].atReturn ? "return: true\n    returnArg: { index: 0, type: int }" : ""}
    selectors:
    - matchBinaries: [{ operator: In, values: [${ACT}] }]
      matchPIDs: [{ operator: NotIn, values: [${edit}] }]
`;

/** Policies of a node's agent while a user edits them. */
class EditedPolicies implements SpecSource {
  readonly name = "edited";
  #policies: ReadonlyMap<string, DesiredPolicy> | undefined;
  #listener = () => {};

  desired() {
    return this.#policies;
  }

  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  close(): void {}

  async edit(number: number): Promise<void> {
    const file = join(await mkdtemp(join(tmpdir(), "replace-")), "policies.yaml");
    const documents = POLICY_NAMES.map((name) => policyYaml(name, number));
    await writeFile(file, documents.join(""));
    this.#policies = (await readPolicyFiles({ files: [file] }, logger)).desired();
    this.#listener();
  }
}

/** Keeps the numbers of the calls by policy. */
class Calls implements EventSink {
  readonly stats = noExports();
  readonly numbers = new Map<PolicyName, number[]>(POLICY_NAMES.map((name) => [name, []]));

  write(chunk: Uint8Array): void {
    for (const line of new TextDecoder().decode(chunk).trimEnd().split("\n")) {
      const call = JSON.parse(line).process_kprobe;
      if (call) this.numbers.get(call.policy_name)?.push(call.args[0].uint_arg);
    }
  }

  room(): undefined {}
  async flush(): Promise<void> {}
  async close(): Promise<void> {}
}

const logger = createLogger({ component: "test", level: "info" });

/** Resolves when the agent has said this of each policy. */
function allAre(text: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const waiting = new Set<string>(POLICY_NAMES);
  const look = ({ message }: { message: string }) => {
    for (const name of waiting)
      if (message.startsWith(`TracingPolicy/${name}: ${text}`)) waiting.delete(name);
    if (waiting.size > 0) return;
    logger.off("data", look);
    resolve();
  };
  logger.on("data", look);
  return promise;
}

test("each call is posted once by each policy while they are edited", async () => {
  const sink = new Calls();
  const source = new EditedPolicies();
  const registry = createRegistry({ component: "agent", version: "test", defaultMetrics: false });
  // Room for all that is called while the reader waits for a processor.
  const command = await parseCommand(
    { argv: ["--bpf-object", OBJECT, "--rb-size", "64m"], env: {}, readDirectory: () => new Map() },
    "node",
  );
  assert.ok(command.kind === "run");
  const deps: AgentDeps = {
    config: command.config,
    version: "test",
    bpf: loadBinding(),
    sink,
    files: source,
    access: undefined,
    procfs: { path: "/proc" },
    logger,
    registry,
  };
  const running = new AsyncDisposableStack();
  // Neither the agent nor a promise keeps a process alive.
  const alive = setInterval(() => {}, 1 << 30);
  const caller = spawn(ACT, ["count-up", String(NR.setfsuid)], { stdio: ["pipe", "pipe", "inherit"] });
  try {
    await source.edit(1);
    await startAgent(deps, running);
    caller.stdin.write("start\n");
    for (let edit = 2; edit < EDITS + 2; edit++) {
      const attached = allAre("Attached");
      await source.edit(edit);
      await attached;
    }
    caller.stdin.end("stop\n");
    const [output] = await once(caller.stdout, "data");
    const count = Number(String(output));
    assert.ok(count > EDITS, `only ${count} calls`);
    const unseen = countsOfUnseen(await registry.metrics());
    await running.disposeAsync();
    for (const [name, numbers] of sink.numbers) {
      const { missing, ...others } = faults(numbers, count);
      assert.deepEqual(others, { repeated: [], unknown: [] }, name);
      // The old hook's calls that are in flight when it is detached are lost.
      const mayMiss = POLICIES[name].atReturn ? EDITS : 0;
      assert.ok(missing.length <= mayMiss, `${name}: calls ${ranges(missing)} are missing\n${unseen}`);
    }
  } finally {
    caller.kill("SIGKILL");
    clearInterval(alive);
  }
});

/** The agent's own counts of lost records. */
function countsOfUnseen(metrics: string): string {
  const lines = metrics.split("\n").filter((line) => /^trigon_\w*(lost|missed|unknown|window)/.test(line));
  return lines.filter((line) => !line.endsWith(" 0")).join("\n");
}

/** Which of 1, 2, ... `count` are not there once, and what else is there. */
function faults(numbers: readonly number[], count: number) {
  const times = Map.groupBy(numbers, (number) => number);
  const all = Array.from({ length: count }, (_, index) => index + 1);
  return {
    missing: all.filter((number) => !times.has(number)),
    repeated: all.filter((number) => (times.get(number)?.length ?? 0) > 1),
    unknown: numbers.filter((number) => number < 1 || number > count),
  };
}

/** "1-3 7" of 1, 2, 3, 7. */
function ranges(numbers: readonly number[]): string {
  const starts = numbers.filter((number, index) => numbers[index - 1] !== number - 1);
  const ends = numbers.filter((number, index) => numbers[index + 1] !== number + 1);
  return starts.map((start, index) => (start === ends[index] ? start : `${start}-${ends[index]}`)).join(" ");
}
