/**
 * If the kernel preempts, tasks may be interrupted inside programs: calls of other tasks must be posted all the same.
 *
 *   npm run guest -- --kernel latest -- node --test e2e/guest/preemption.guest-test.ts
 *
 * @kernels 5.10, 6.1, latest: one that never preempts, the first that may, and one that always does
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, version } from "node:os";
import { after, describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import type { AttachedHook } from "../../agent/hooks/engine.ts";
import { makeArgs, makeSelector } from "../../agent/hooks/testing/hooks.ts";
import { ACT, makeHookOn, NR, TestEngine } from "./test-engine.ts";

const FILE = "/sys/kernel/debug/sched/preempt";
/** `full (lazy)`: the one in brackets is what the kernel does; absent where it was built for one way. */
const choice = existsSync(FILE) ? readFileSync(FILE, "utf8") : "";
const modes = ["full", "lazy"].filter((mode) => choice.includes(mode));

after(() => {
  const mode = /\((\w+)\)/.exec(choice)?.[1];
  if (mode !== undefined) writeFileSync(FILE, mode);
});

/** Starts an engine with these capabilities and without debugfs, as in the agent's container. */
function modeInContainer(capabilities: string): string {
  const script = `
    import { TestEngine } from ${JSON.stringify(import.meta.resolve("./test-engine.ts"))};
    const { engine } = new TestEngine();
    console.log(engine.features.preemption);
    engine.close();`;
  const node = [process.execPath, "--input-type=module", "--eval", script];
  const limited = ["setpriv", `--bounding-set=-all,${capabilities}`, "--inh-caps=-all", ...node];
  const covered = 'mount -t tmpfs none /sys/kernel/debug && exec "$@"';
  // Looking for drift takes more capabilities.
  const env = { ...process.env, TRIGON_DRIFT: "" };
  return execFileSync("unshare", ["--mount", "sh", "-c", covered, "sh", ...limited], {
    encoding: "utf8",
    env,
  }).trim();
}

/** A program that looks through all of it takes nearly the whole time of the call: there it is preempted. */
const TEXT = `${"a".repeat(3000)}needle`;
const HOOK = makeHookOn("sys_access", {
  args: makeArgs("string"),
  selectors: [
    makeSelector({
      match: "arg",
      arg: 0,
      negate: false,
      compare: "text",
      how: "substring",
      values: ["needle"],
    }),
  ],
});
const CALLS = 1000;
/** As many as find the agent preempted in a map operation: by the system call, about a hundred calls are missed. */
const MAP_ROUNDS = 500;
/** More than there are processors, so that they take turns. */
const PROCESSES = 4 * availableParallelism();

/** Many processes at once ask for the access to a file that does not exist. */
async function storm(): Promise<void> {
  const args = ["repeat", `${CALLS}`, `${NR.access}:@${TEXT}:0`];
  const children = Array.from({ length: PROCESSES }, () => spawn(ACT, args, { stdio: "inherit" }));
  const ends = await Promise.all(children.map((child) => once(child, "exit")));
  assert.deepEqual(
    ends.map(([status]) => status),
    children.map(() => 0),
  );
}

describe("an engine without debugfs knows how the kernel preempts", () => {
  const choices = version().includes("PREEMPT_DYNAMIC") ? (choice.match(/\w+/g) ?? []) : [];
  if (choices.length === 0)
    test("by its version alone", () => {
      assert.equal(modeInContainer("+bpf,+perfmon,+sys_resource"), "none");
    });

  for (const mode of choices) {
    test(`preemption: ${mode}`, () => {
      writeFileSync(FILE, mode);
      assert.equal(modeInContainer("+bpf,+perfmon"), mode);
    });
  }
});

/** Reads and writes maps of every type that the agent uses while hooks are attached. */
async function useMaps({ engine }: TestEngine, hook: AttachedHook): Promise<void> {
  const cgroupId = 1n << 40n;
  for (let round = 0; round < MAP_ROUNDS; round++) {
    hook.counts();
    hook.setMode("enforce");
    engine.processStats();
    engine.cgroupScopes.setFull(false);
    engine.cgroupScopes.set(cgroupId, { inside: 1n, undecided: 0n });
    engine.cgroupScopes.delete(cgroupId);
    if (round % 20 === 0) await setImmediate();
  }
}

const SHELLS = 20;
const CHILDREN = 16;
const SCRIPT = `for i in $(seq ${CHILDREN / 2}); do (true) & (/bin/true) & done; wait`;

describe("each process is seen, however tasks are preempted", () => {
  if (modes.length === 0) test("by this kernel", { skip: "the kernel does not preempt itself" });

  for (const mode of modes) {
    test(`preemption: ${mode}`, async () => {
      writeFileSync(FILE, mode);
      const engine = new TestEngine();
      const shells = Array.from({ length: SHELLS }, () =>
        spawn("/bin/sh", ["-c", SCRIPT], { stdio: "ignore" }),
      );
      await Promise.all(shells.map((shell) => once(shell, "close")));
      const records = engine.takeRecords();
      const pidsOf = (what: string) => records.flatMap(({ kind, pid }) => (kind === what ? [pid] : []));
      const { lost, missed } = engine.engine.processStats();
      const programs = records.filter(({ fields }) => fields.filename === "/bin/true");
      const forks = pidsOf("fork");
      engine.close();
      assert.deepEqual({ lost, missed }, { lost: 0, missed: 0 });
      assert.equal(programs.length, (SHELLS * CHILDREN) / 2);
      assert.ok(forks.length >= SHELLS * (CHILDREN + 1));
      // A process from before the engine may end meanwhile.
      const forked = new Set(forks);
      assert.deepEqual(
        pidsOf("exit")
          .filter((pid) => forked.has(pid))
          .sort(),
        forks.sort(),
      );
    });
  }
});

describe("each call is seen once, however tasks are preempted", () => {
  if (modes.length === 0) test("by this kernel", { skip: "the kernel does not preempt itself" });

  for (const mode of modes) {
    test(`preemption: ${mode}`, async () => {
      writeFileSync(FILE, mode);
      const engine = new TestEngine();
      assert.equal(engine.engine.features.preemption, mode);
      const hook = engine.attach(HOOK);
      await storm();
      const { posted, lost, missed } = hook.stats();
      assert.deepEqual({ posted: posted + lost, missed }, { posted: CALLS * PROCESSES, missed: 0 });
      engine.close();
    });

    // The kernel runs no kprobe on a CPU while a task there is in a map operation of the bpf() system call.
    test(`preemption: ${mode}, while the agent reads and writes maps`, async () => {
      writeFileSync(FILE, mode);
      const engine = new TestEngine();
      const hook = engine.attach(HOOK);
      let [inUse, storms] = [true, 0];
      const used = useMaps(engine, hook).finally(() => {
        inUse = false;
      });
      for (; inUse; storms++) await storm();
      await used;
      const { posted, lost, missed } = hook.stats();
      assert.deepEqual({ posted: posted + lost, missed }, { posted: storms * CALLS * PROCESSES, missed: 0 });
      engine.close();
    });
  }
});
