import { beforeEach, describe, expect, test } from "vitest";
import type { AttachKind } from "../../crds/conditions.ts";
import type { HookDef, HookSpec } from "../../crds/hook-spec.ts";
import { sha256Hex } from "../../crds/names.ts";
import type { Logger } from "../../lib/logger.ts";
import type { HandOver } from "../events/hand-over.ts";
import type { HookInfo } from "../events/hooks.ts";
import { NO_STATS } from "../hooks/attach/hook-stats.ts";
import type { AttachedHook, HookMode, HookStatus, LoadedHook, Mode } from "../hooks/engine.ts";
import { Reconciler, SHOW_ATTACHING_MS, TransientAttachError } from "./reconcile.ts";
import type { BrokenPolicy, WantedPolicy } from "./sources/source.ts";
import { makeHookDef, makeHookSpec } from "./testing/policies.ts";

const SHORT_OF_MEMORY: Partial<HookStatus> = {
  reason: "AttachFailed",
  message: "not now",
  refusals: [{ code: "ENOMEM", step: "load program", subject: "hook_fentry", transient: true }],
};

/** A kernel in which every function exists unless it is listed, with a clock that moves at each step. */
class FakeKernel {
  readonly refused = new Map<string, Partial<HookStatus>>();
  readonly log: string[] = [];
  readonly registered = new Map<number, HookInfo>();
  readonly retired = new Map<number, bigint | undefined>();
  readonly handOvers = new Map<number, HandOver | undefined>();
  readonly attachedIds = new Set<number>();
  readonly #unlinked = new Set<number>();
  labels: Record<string, string> | undefined;
  attach: AttachKind = "fentry";
  #id = 0;
  readonly modes = new Map<number, HookMode>();
  /** Called before each hook is attached. */
  onAttach: (def: HookDef) => void | Promise<void> = () => {};
  /** Called when its programs may run, before it is attached. */
  onRunning: () => void = () => {};
  /** Called before each hook is detached. */
  onUnlink: (id: number) => void | Promise<void> = () => {};
  /** When the reconciler waited for hits in flight. */
  readonly waits: bigint[] = [];
  #clock = 0n;

  readonly engine = {
    attachInBackground: async (
      def: HookDef,
      mode: Mode,
      onLoaded: (hook: LoadedHook) => void,
    ): Promise<AttachedHook> => {
      await this.onAttach(def);
      this.#clock++;
      const id = ++this.#id;
      const status = this.#status(def);
      if (status.state !== "NotFound") onLoaded({ id, resolved: def, functionName: `__x64_${def.call}` });
      this.onRunning();
      this.log.push(`attach ${def.call}`);
      this.modes.set(id, mode);
      if (status.state === "Attached") this.attachedIds.add(id);
      return {
        ...unusedParts,
        id,
        def,
        resolved: def,
        status,
        setMode: (changed) => void this.modes.set(id, changed),
        functionName: `__x64_${def.call}`,
        unlink: async () => {
          await this.onUnlink(id);
          this.#unlinked.add(id);
        },
        detach: () => this.#detach(id, def),
      };
    },
    waitForHits: async () => void this.waits.push(++this.#clock),
  };

  readonly pipeline = {
    registerHook: (id: number, info: HookInfo) => void this.registered.set(id, info),
    retireHook: (id: number, until?: bigint, handsOver?: HandOver) => {
      if (!this.registered.has(id)) return;
      this.retired.set(id, until);
      this.handOvers.set(id, handsOver);
    },
  };

  /** The hooks whose records are reported at a given time. */
  toldAt(time: bigint): string[] {
    const reporting = [...this.registered].filter(([id, { fromKtimeNs }]) => {
      const until = this.retired.has(id) ? (this.retired.get(id) ?? 0n) : time + 1n;
      return time >= (fromKtimeNs ?? 0n) && time < until;
    });
    return reporting.map(([, info]) => info.def.call);
  }

  readonly counted: number[] = [];
  detached = (_policy: unknown, { id }: AttachedHook) =>
    void (this.attachedIds.has(id) || this.counted.push(id));
  policyGone = () => {};
  bootTimeNs = (): bigint => ++this.#clock;
  nodeLabels = () => this.labels;

  #status(def: HookDef): HookStatus {
    const base = { path: def.path, call: def.call };
    const refusal = this.refused.get(def.call);
    if (refusal) return { ...base, state: "Failed", ...refusal };
    return { ...base, state: "Attached", attach: this.attach, function: `__x64_${def.call}` };
  }

  #detach(id: number, def: HookDef): void {
    expect(this.#unlinked, "unlinked in another thread before").toContain(id);
    this.#clock++;
    this.log.push(`detach ${def.call}`);
    this.attachedIds.delete(id);
  }
}

const unusedParts = {
  stats: () => NO_STATS,
  counts: () => ({ stats: NO_STATS, actions: [] }),
  actions: () => [],
  attachMs: 1,
  memoryBytes: () => 0,
};

const logger = { info: () => {}, error: () => {}, warn: () => {} } as unknown as Logger;
const KEY = "TracingPolicy/p";

let kernel: FakeKernel;
let reconciler: Reconciler;

beforeEach(() => {
  kernel = new FakeKernel();
  reconciler = new Reconciler({ ...kernel, logger });
});

function want(calls: string[], changes: Partial<HookSpec> = {}): WantedPolicy {
  return wantSpec(makeHookSpec("p", calls, changes));
}

function wantSpec(spec: HookSpec): WantedPolicy {
  return { ref: spec.policy, hash: sha256Hex(JSON.stringify(spec)), origin: "test", spec };
}

function outcome() {
  const [first] = reconciler.outcomes();
  if (!first) throw new Error("no outcome");
  return first;
}

describe("a policy that a client changes", () => {
  test("has no hooks while it is disabled, and has them again afterwards", async () => {
    const policy = want(["sys_setuid"]);
    await reconciler.reconcile(KEY, policy);
    await reconciler.reconcile(KEY, { ...policy, isDisabled: true });
    expect(outcome()).toMatchObject({
      state: "Skipped",
      reason: "Disabled",
      specHash: policy.hash,
      hooks: [],
    });
    expect(kernel.attachedIds.size).toBe(0);
    await reconciler.reconcile(KEY, policy);
    expect(outcome()).toMatchObject({ state: "Attached", attachedHash: policy.hash });
    expect(kernel.attachedIds.size).toBe(1);
  });

  test("changes its mode without being attached anew", async () => {
    const policy = want(["sys_setuid"]);
    await reconciler.reconcile(KEY, policy);
    kernel.log.length = 0;
    const monitored: WantedPolicy = { ...policy, spec: { ...policy.spec, mode: "monitor" } };
    await reconciler.reconcile(KEY, monitored);
    expect([...kernel.modes.values()]).toEqual(["monitor"]);
    expect(kernel.log).toEqual([]);
    await reconciler.reconcile(KEY, policy);
    expect([...kernel.modes.values()]).toEqual(["enforce"]);
  });
});

describe("a new policy", () => {
  test("is Attached when every hook is", async () => {
    const policy = want(["sys_setuid", "sys_setgid"]);
    expect(await reconciler.reconcile(KEY, policy)).toBe(true);
    expect(outcome()).toMatchObject({ state: "Attached", specHash: policy.hash, attachedHash: policy.hash });
    expect(outcome().hooks.map((hook) => hook.attach)).toEqual(["fentry", "fentry"]);
    expect(kernel.registered.size).toBe(2);
  });

  test("is left alone the second time", async () => {
    await reconciler.reconcile(KEY, want(["sys_setuid"]));
    expect(await reconciler.reconcile(KEY, want(["sys_setuid"]))).toBe(false);
    expect(kernel.log).toEqual(["attach sys_setuid"]);
  });

  test("fails as a whole when one hook does: nothing stays attached, no event is reported", async () => {
    kernel.refused.set("sys_no", {
      state: "NotFound",
      reason: "FunctionNotFound",
      message: "no such function",
    });
    await reconciler.reconcile(KEY, want(["sys_setuid", "sys_no"]));
    expect(outcome()).toMatchObject({ state: "Failed", reason: "FunctionNotFound" });
    expect(outcome().message).toContain("spec.kprobes[1] sys_no: no such function");
    expect(outcome()).not.toHaveProperty("attachedHash");
    expect(outcome().hooks.map((hook) => hook.state)).toEqual(["Skipped", "NotFound"]);
    expect(kernel.attachedIds.size).toBe(0);
    expect(kernel.toldAt(1n)).toEqual([]);
  });

  test("enforces when every hook is attached, and nothing before", async () => {
    const policy = want(["sys_setuid", "sys_no"]);
    kernel.refused.set("sys_no", SHORT_OF_MEMORY);
    await expect(reconciler.reconcile(KEY, policy)).rejects.toThrow(TransientAttachError);
    expect([...kernel.modes.values()]).toEqual(["off", "monitor"]);
    kernel.refused.clear();
    await reconciler.reconcile(KEY, policy);
    expect([...kernel.modes.values()].slice(2)).toEqual(["enforce", "enforce"]);
  });

  test("is PartiallyAttached when a hook is missing that may be", async () => {
    kernel.refused.set("sys_no", {
      state: "NotFound",
      reason: "FunctionNotFound",
      message: "no such function",
    });
    const hooks = [makeHookDef("sys_setuid", 0), makeHookDef("sys_no", 1, { ignoreCallNotFound: true })];
    await reconciler.reconcile(KEY, want([], { hooks }));
    expect(outcome()).toMatchObject({
      state: "PartiallyAttached",
      message: expect.stringContaining("1 of 2 hooks"),
    });
    expect(kernel.attachedIds.size).toBe(1);
  });

  test("fails when a hook that may be missing is there and does not attach", async () => {
    kernel.refused.set("sys_no", { reason: "VerifierRejected", message: "load: EACCES" });
    await reconciler.reconcile(
      KEY,
      want([], { hooks: [makeHookDef("sys_no", 0, { ignoreCallNotFound: true })] }),
    );
    expect(outcome()).toMatchObject({ state: "Failed", reason: "VerifierRejected" });
  });
});

describe("a policy that the kernel refuses", () => {
  const refusal = { code: "EPERM", step: "attach fentry", subject: "x", transient: false };
  const cases: Record<string, { status: Partial<HookStatus>; isRetried: boolean }> = {
    "is tried again after a shortage": { status: SHORT_OF_MEMORY, isRetried: true },
    "is tried again if one of the ways to attach may work later": {
      status: { refusals: [refusal, { ...refusal, code: "EBUSY", transient: true }] },
      isRetried: true,
    },
    "is not tried again when all refusals are final": { status: { refusals: [refusal] }, isRetried: false },
    "is not tried again because of the text of a message": {
      status: { message: "load program hook_fentry: EAGAIN" },
      isRetried: false,
    },
  };

  test.each(Object.entries(cases))("%s", async (_name, { status, isRetried }) => {
    kernel.refused.set("sys_no", { reason: "AttachFailed", ...status });
    const reconcile = () => reconciler.reconcile(KEY, want(["sys_no"]));
    if (isRetried) await expect(reconcile()).rejects.toThrow(TransientAttachError);
    else expect(await reconcile()).toBe(true);
    kernel.log.length = 0;
    kernel.refused.clear();
    await reconcile();
    expect(outcome().state).toBe(isRetried ? "Attached" : "Failed");
  });
});

describe("a changed policy", () => {
  test("keeps what is unchanged, attaches new before it detaches old", async () => {
    await reconciler.reconcile(KEY, want(["sys_setuid", "sys_setgid"]));
    kernel.log.length = 0;
    await reconciler.reconcile(KEY, want(["sys_setgid", "sys_setreuid"]));
    expect(kernel.log).toEqual(["attach sys_setreuid", "detach sys_setuid"]);
    expect(kernel.counted).toEqual([1]);
    expect(outcome().hooks.map((hook) => hook.path)).toEqual(["spec.kprobes[0]", "spec.kprobes[1]"]);
  });

  test("keeps hooks when only the mode changes, and gives it to them", async () => {
    await reconciler.reconcile(KEY, want(["sys_setuid"]));
    await reconciler.reconcile(KEY, wantSpec(makeHookSpec("p", ["sys_setuid"], { mode: "monitor" })));
    expect(kernel.log).toEqual(["attach sys_setuid"]);
    expect([...kernel.modes.values()]).toEqual(["monitor"]);
  });

  test("reports each instant by exactly one of the old and the new hook", async () => {
    await reconciler.reconcile(KEY, wantSpec(makeHookSpec("p", [], { hooks: [makeHookDef("sys_old", 0)] })));
    const start = kernel.bootTimeNs();
    await reconciler.reconcile(KEY, wantSpec(makeHookSpec("p", [], { hooks: [makeHookDef("sys_new", 0)] })));
    const end = kernel.bootTimeNs();
    for (let time = start; time <= end; time++) expect(kernel.toldAt(time)).toHaveLength(1);
    expect(kernel.toldAt(start)).toEqual(["sys_old"]);
    expect(kernel.toldAt(end)).toEqual(["sys_new"]);
  });

  test("hands hits in flight over where the kernel runs the new hook first", async () => {
    const withMessage = (message: string) =>
      makeHookSpec("p", [], { hooks: [makeHookDef("sys_a", 0, { message }), makeHookDef("sys_b", 1)] });
    await reconciler.reconcile(KEY, wantSpec(withMessage("first")));
    kernel.attach = "kprobe";
    await reconciler.reconcile(KEY, wantSpec(withMessage("second")));
    const shared = kernel.handOvers.get(1);
    expect(kernel.registered.get(3)?.takesOver).toBe(shared);
    expect([shared?.admitsNew(1, false), shared?.admitsOld(1, false)]).toEqual([false, true]);
    kernel.attach = "fentry";
    await reconciler.reconcile(KEY, wantSpec(withMessage("third")));
    expect(kernel.handOvers.get(3)).toBeUndefined();
  });

  test("waits for the hits in flight before the cut-over time and again after it", async () => {
    await reconciler.reconcile(KEY, want(["sys_setuid"]));
    await reconciler.reconcile(KEY, want(["sys_setgid"]));
    const instant = kernel.retired.get(1) ?? 0n;
    expect(kernel.waits).toEqual([instant - 1n, instant + 1n]);
    expect(kernel.log.at(-1)).toBe("detach sys_setuid");
  });

  test("waits for nothing where hooks only come or only go", async () => {
    await reconciler.reconcile(KEY, want(["sys_setuid"]));
    await reconciler.reconcile(KEY, want(["sys_setuid", "sys_setgid"]));
    await reconciler.reconcile(KEY, want(["sys_setgid"]));
    expect(kernel.waits).toEqual([]);
  });

  test("that does not attach leaves the last good one running and reports that", async () => {
    const good = want(["sys_setuid", "sys_setgid"]);
    const bad = want(["sys_setuid", "sys_no"]);
    await reconciler.reconcile(KEY, good);
    kernel.refused.set("sys_no", { state: "NotFound", reason: "FunctionNotFound" });
    await reconciler.reconcile(KEY, bad);
    expect(outcome()).toMatchObject({ state: "Failed", specHash: bad.hash, attachedHash: good.hash });
    expect(reconciler.attachedHooks().map(({ hook }) => hook.def.call)).toEqual(["sys_setuid", "sys_setgid"]);
    expect(kernel.attachedIds.size).toBe(2);
    expect(kernel.retired.size).toBe(0);
  });

  test("that was refused is not tried again, and the old one is Attached again without a change in the kernel", async () => {
    const good = want(["sys_setuid"]);
    await reconciler.reconcile(KEY, good);
    kernel.refused.set("sys_no", { state: "NotFound", reason: "FunctionNotFound" });
    await reconciler.reconcile(KEY, want(["sys_no"]));
    kernel.log.length = 0;
    expect(await reconciler.reconcile(KEY, want(["sys_no"]))).toBe(false);
    await reconciler.reconcile(KEY, good);
    expect(kernel.log).toEqual([]);
    expect(outcome()).toMatchObject({ state: "Attached", attachedHash: good.hash });
  });

  test("that found the kernel short of memory is tried again", async () => {
    kernel.refused.set("sys_setuid", SHORT_OF_MEMORY);
    await expect(reconciler.reconcile(KEY, want(["sys_setuid"]))).rejects.toThrow(TransientAttachError);
    expect(outcome()).toMatchObject({ state: "Failed", reason: "AttachFailed" });
    kernel.refused.clear();
    expect(await reconciler.reconcile(KEY, want(["sys_setuid"]))).toBe(true);
    expect(outcome().state).toBe("Attached");
  });

  test("that is removed is detached", async () => {
    await reconciler.reconcile(KEY, want(["sys_setuid"]));
    expect(await reconciler.reconcile(KEY, undefined)).toBe(true);
    expect(reconciler.outcomes()).toEqual([]);
    await reconciler.departed();
    expect(kernel.attachedIds.size).toBe(0);
    expect(await reconciler.reconcile(KEY, undefined)).toBe(false);
  });
});

test("the end of the agent ends every hook at once, and leaves the detaching to the end of the engine", async () => {
  await reconciler.reconcile(KEY, want(["sys_setuid"]));
  await reconciler.reconcile("TracingPolicy/q", want(["sys_setgid"]));
  await reconciler.close();
  expect([...kernel.modes.values()]).toEqual(["off", "off"]);
  expect(kernel.waits.length).toBe(1);
  expect(kernel.log).not.toContain("detach sys_setuid");
  expect(reconciler.attachedHooks()).toEqual([]);
});

describe("a spec that cannot be read", () => {
  const broken: BrokenPolicy = {
    ref: { kind: "TracingPolicy", name: "p" },
    hash: "damaged",
    origin: "test",
    problem: "hash does not match",
  };

  test("is Failed and what ran before goes on", async () => {
    const good = want(["sys_setuid"]);
    await reconciler.reconcile(KEY, good);
    await reconciler.reconcile(KEY, broken);
    expect(outcome()).toMatchObject({ state: "Failed", reason: "SpecUnusable", attachedHash: good.hash });
    expect(kernel.attachedIds.size).toBe(1);
  });

  test("is stood in for by an earlier one when nothing runs", async () => {
    const good = want(["sys_setuid"]);
    await reconciler.reconcile(KEY, { ...broken, fallbacks: [good] });
    expect(outcome()).toMatchObject({ state: "Failed", specHash: "damaged", attachedHash: good.hash });
  });
});

test("after a restart the newest earlier spec that attaches stands in for one that does not", async () => {
  kernel.refused.set("sys_no", { state: "NotFound", reason: "FunctionNotFound" });
  const good = want(["sys_setuid"]);
  const fallbacks = [want(["sys_setgid", "sys_no"]), good, want(["sys_setreuid"])];
  await reconciler.reconcile(KEY, { ...want(["sys_no"]), fallbacks });
  expect(outcome()).toMatchObject({ state: "Failed", reason: "FunctionNotFound", attachedHash: good.hash });
  expect(reconciler.attachedHooks().map(({ hook }) => hook.def.call)).toEqual(["sys_setuid"]);
});

describe("nodeSelector", () => {
  const onGpu = { nodeSelector: { matchLabels: { gpu: "yes" } } };

  test("that excludes the node is Skipped", async () => {
    kernel.labels = { gpu: "no" };
    await reconciler.reconcile(KEY, want(["sys_setuid"], onGpu));
    expect(outcome()).toMatchObject({ state: "Skipped", reason: "NodeNotSelected" });
    expect(kernel.log).toEqual([]);
  });

  test("reports a spec that the node does not need and has not read as skipped, and detaches what ran", async () => {
    const ref = { kind: "TracingPolicy" as const, name: "p" };
    const unread = { ref, hash: "h", origin: "ConfigMap", nodeSelector: { matchLabels: { gpu: "yes" } } };
    kernel.labels = { gpu: "no" };
    await reconciler.reconcile("TracingPolicy/p", unread);
    expect(reconciler.outcomes()[0]).toMatchObject({
      state: "Skipped",
      reason: "NodeNotSelected",
      specHash: "h",
    });
    kernel.labels = { gpu: "yes" };
    await reconciler.reconcile("TracingPolicy/p", unread);
    expect(reconciler.outcomes()[0]).toMatchObject({ state: "Pending", reason: "SpecUnread" });
  });

  test("attaches nothing while the labels are not known", async () => {
    await reconciler.reconcile(KEY, want(["sys_setuid"], onGpu));
    expect(outcome()).toMatchObject({ state: "Pending", reason: "NodeLabelsUnknown" });
    expect(kernel.log).toEqual([]);
  });

  test("follows the labels of the node", async () => {
    kernel.labels = { gpu: "yes" };
    await reconciler.reconcile(KEY, want(["sys_setuid"], onGpu));
    expect(outcome().state).toBe("Attached");
    kernel.labels = {};
    await reconciler.reconcile(KEY, want(["sys_setuid"], onGpu));
    expect(outcome().state).toBe("Skipped");
    expect(kernel.attachedIds.size).toBe(0);
  });
});

describe("two sources of one policy", () => {
  test("run the first and show the second as a duplicate", async () => {
    const policy = { ...want(["sys_setuid"]), rival: { origin: "ConfigMap c", hash: "other" } };
    await reconciler.reconcile(KEY, policy);
    expect(outcome()).toMatchObject({ state: "Failed", reason: "DuplicatePolicy", specHash: "other" });
    expect(outcome()).toMatchObject({
      attachedHash: policy.hash,
      message: expect.stringContaining("ConfigMap c"),
    });
  });

  test("agree when their specs are the same", async () => {
    const policy = want(["sys_setuid"]);
    await reconciler.reconcile(KEY, { ...policy, rival: { origin: "ConfigMap c", hash: policy.hash } });
    expect(outcome().state).toBe("Attached");
  });
});

describe("while the hooks of a policy are being attached", () => {
  const CALLS = ["sys_setuid", "sys_setgid", "sys_setreuid"];
  /** Course of a policy that is wanted until so many hooks are attached. */
  const wantedUntil = (hooks: number, isEnding = false) => ({
    isWanted: () => kernel.log.filter((line) => line.startsWith("attach")).length < hooks,
    isEnding: () => isEnding,
    onProgress: () => {},
  });

  test("other tasks have their turn after each hook", async () => {
    let turns = 0;
    const ticker = setInterval(() => turns++, 0);
    kernel.onAttach = () => new Promise((resolve) => setTimeout(resolve, 5));
    await reconciler.reconcile(KEY, want(CALLS));
    clearInterval(ticker);
    expect(turns).toBeGreaterThanOrEqual(CALLS.length);
  });

  test("no record of it counts, and each hook is known before its first record is read", async () => {
    const told: string[][] = [];
    kernel.onAttach = () => {
      told.push(kernel.toldAt(kernel.bootTimeNs()));
    };
    kernel.onRunning = () => expect(kernel.registered.size).toBe(kernel.attachedIds.size + 1);
    await reconciler.reconcile(KEY, want(CALLS));
    expect(told).toEqual([[], [], []]);
    expect(kernel.toldAt(kernel.bootTimeNs())).toEqual(CALLS);
  });

  test("a hook that ran for a moment, and could not be attached, is not waited for", async () => {
    kernel.refused.set("sys_setgid", { reason: "AttachFailed", message: "attach fentry: EBUSY" });
    await reconciler.reconcile(KEY, want(["sys_setuid", "sys_setgid"]));
    expect([...kernel.registered.keys()].every((id) => kernel.retired.has(id))).toBe(true);
  });

  test("the hooks that it replaces go on, and are told of until all are attached", async () => {
    await reconciler.reconcile(KEY, want(["sys_setfsuid"]));
    const told: string[][] = [];
    kernel.onAttach = () => void told.push(kernel.toldAt(kernel.bootTimeNs()));
    await reconciler.reconcile(KEY, want(CALLS));
    expect(told).toEqual([["sys_setfsuid"], ["sys_setfsuid"], ["sys_setfsuid"]]);
    expect(kernel.log.at(-1)).toBe("detach sys_setfsuid");
  });

  test("an agent that ends does not detach them one by one: its last events go out first", async () => {
    expect(await reconciler.reconcile(KEY, want(CALLS), wantedUntil(2, true))).toBe(false);
    expect(kernel.log).toEqual(["attach sys_setuid", "attach sys_setgid"]);
    expect(kernel.toldAt(kernel.bootTimeNs())).toEqual([]);
  });

  test("a new policy that is not wanted any more leaves nothing behind", async () => {
    expect(await reconciler.reconcile(KEY, want(CALLS), wantedUntil(2))).toBe(false);
    await reconciler.departed();
    expect(kernel.log.slice(2)).toEqual(["detach sys_setuid", "detach sys_setgid"]);
    expect(reconciler.outcomes()).toEqual([]);
    expect(reconciler.keys()).toEqual([]);
    expect(kernel.toldAt(kernel.bootTimeNs())).toEqual([]);
  });

  test("an edit that is given up leaves what ran before, which a deletion then takes away", async () => {
    const good = want(["sys_setfsuid"]);
    await reconciler.reconcile(KEY, good);
    kernel.log.length = 0;
    expect(await reconciler.reconcile(KEY, want(CALLS), wantedUntil(1))).toBe(false);
    expect(outcome()).toMatchObject({ state: "Attached", attachedHash: good.hash });
    expect(kernel.toldAt(kernel.bootTimeNs())).toEqual(["sys_setfsuid"]);
    await reconciler.reconcile(KEY, undefined);
    await reconciler.departed();
    expect(kernel.attachedIds.size).toBe(0);
  });

  test("its counters are counted once: a hook that is detached is not among the attached ones", async () => {
    await reconciler.reconcile(KEY, want(CALLS));
    await reconciler.reconcile(KEY, want(["sys_setfsuid"]));
    for (;;) {
      const live = reconciler.attachedHooks().map(({ hook }) => hook.id);
      expect(live.sort()).toEqual([...kernel.attachedIds]);
      if (live.length === 1) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(kernel.counted).toEqual([1, 2, 3]);
  });

  test("its outcome stays as it was at first, and is Pending once it takes long", async () => {
    let nowMs = 0;
    reconciler = new Reconciler({ ...kernel, logger, nowMs: () => nowMs });
    const before = want(["sys_setfsuid"]);
    await reconciler.reconcile(KEY, before);
    const states: unknown[] = [];
    kernel.onAttach = () => {
      states.push(outcome().state, outcome().attachedHash);
      nowMs += SHOW_ATTACHING_MS;
    };
    expect(await reconciler.reconcile(KEY, want(["sys_setuid", "sys_setgid"]))).toBe(true);
    expect(states).toEqual(["Attached", before.hash, "Pending", before.hash]);
    expect(outcome().state).toBe("Attached");
  });

  test("a policy that waits for another one is Pending, too, once it takes long", () => {
    let nowMs = 0;
    reconciler = new Reconciler({ ...kernel, logger, nowMs: () => nowMs });
    reconciler.announce(KEY, want(CALLS));
    expect(reconciler.outcomes()).toEqual([]);
    expect(reconciler.keys()).toEqual([KEY]); // so that its deletion is carried out
    nowMs = SHOW_ATTACHING_MS;
    expect(outcome()).toMatchObject({ state: "Pending", reason: "Attaching", hooks: [] });
  });
});

describe("while hooks are on their way out", () => {
  const CALLS = ["sys_setuid", "sys_setgid", "sys_setreuid"];
  const OTHER = "TracingPolicy/q";
  const wantOther = (call: string) => wantSpec(makeHookSpec("q", [call]));
  let letGo: () => void;
  beforeEach(() => {
    const { promise, resolve } = Promise.withResolvers<void>();
    letGo = resolve;
    kernel.onUnlink = () => promise;
  });

  test("a removed policy does nothing any more, and another one is attached", async () => {
    await reconciler.reconcile(KEY, want(CALLS));
    await reconciler.reconcile(KEY, undefined);
    expect(reconciler.outcomes()).toEqual([]);
    expect(reconciler.attachedHooks()).toEqual([]);
    expect([...kernel.modes.values()]).toEqual(["off", "off", "off"]);
    expect(kernel.toldAt(kernel.bootTimeNs())).toEqual([]);
    await reconciler.reconcile(OTHER, wantOther("sys_setfsuid"));
    expect(outcome().state).toBe("Attached");
    expect(kernel.attachedIds.size).toBe(4);
    letGo();
    await reconciler.departed();
    expect([...kernel.attachedIds]).toEqual([4]);
    expect(kernel.counted).toEqual([]); // nobody asks for the counters of a policy that is gone
  });

  test("an edit is Attached before the hooks that it replaced are detached, whose counters stay", async () => {
    await reconciler.reconcile(KEY, want(CALLS));
    await reconciler.reconcile(KEY, want(["sys_setfsuid"]));
    expect(outcome()).toMatchObject({ state: "Attached", hooks: [{ call: "sys_setfsuid" }] });
    expect([...kernel.modes.values()]).toEqual(["off", "off", "off", "enforce"]);
    expect(reconciler.attachedHooks().map(({ hook }) => hook.id)).toEqual([4, 1, 2, 3]);
    letGo();
    await reconciler.departed();
    expect(kernel.counted).toEqual([1, 2, 3]);
  });

  test("the next edit of the policy waits for them", async () => {
    await reconciler.reconcile(KEY, want(CALLS));
    await reconciler.reconcile(KEY, want(["sys_setfsuid"]));
    const next = reconciler.reconcile(KEY, want(["sys_setfsgid"]));
    await reconciler.reconcile(OTHER, wantOther("sys_setresuid"));
    expect(kernel.log).not.toContain("attach sys_setfsgid");
    letGo();
    await next;
    const log = kernel.log.slice(0, kernel.log.indexOf("attach sys_setfsgid"));
    expect(log.filter((line) => line.startsWith("detach"))).toHaveLength(3);
  });

  test("an edit that is not wanted any more does not wait", async () => {
    await reconciler.reconcile(KEY, want(CALLS));
    await reconciler.reconcile(KEY, want(["sys_setfsuid"]));
    const course = { isWanted: () => false, isEnding: () => false, onProgress: () => {} };
    expect(await reconciler.reconcile(KEY, want(["sys_setfsgid"]), course)).toBe(false);
    expect(kernel.log).not.toContain("attach sys_setfsgid");
    letGo();
  });

  test("an edit that is given up while it waits has its answer after the next hook", async () => {
    let isWanted = true;
    let unlinked = 0;
    kernel.onUnlink = () => (unlinked++ === 0 ? undefined : new Promise(() => {}));
    await reconciler.reconcile(KEY, want(CALLS));
    await reconciler.reconcile(KEY, want(["sys_setfsuid"]));
    const course = { isWanted: () => isWanted, isEnding: () => false, onProgress: () => {} };
    const edit = reconciler.reconcile(KEY, want(["sys_setfsgid"]), course);
    isWanted = false;
    expect(await edit).toBe(false);
    expect(kernel.attachedIds.size).toBe(3);
  });

  test("a policy for which there is no room yet is tried again once they are gone", async () => {
    await reconciler.reconcile(KEY, want(CALLS));
    await reconciler.reconcile(KEY, undefined);
    const full = { reason: "InvalidArgument", message: "too many sets of workloads" } as const;
    kernel.refused.set("sys_setfsuid", full);
    const attaching = reconciler.reconcile(OTHER, wantOther("sys_setfsuid"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(kernel.log.at(-1)).toBe("attach sys_setfsuid");
    kernel.refused.clear();
    letGo();
    expect(await attaching).toBe(true);
    expect(outcome().state).toBe("Attached");
  });

  test("a policy that cannot be attached is Failed, after a second try", async () => {
    await reconciler.reconcile(KEY, want(CALLS));
    await reconciler.reconcile(KEY, undefined);
    kernel.refused.set("sys_no", { reason: "VerifierRejected", message: "load: EACCES" });
    letGo();
    await reconciler.reconcile(OTHER, wantOther("sys_no"));
    expect(outcome()).toMatchObject({ state: "Failed", reason: "VerifierRejected" });
    expect(kernel.log.filter((line) => line === "attach sys_no")).toHaveLength(2);
  });

  test("a policy that is removed meanwhile takes their counters with it", async () => {
    await reconciler.reconcile(KEY, want(CALLS));
    await reconciler.reconcile(KEY, want(["sys_setfsuid"]));
    await reconciler.reconcile(KEY, undefined);
    expect(reconciler.attachedHooks()).toEqual([]);
    letGo();
    await reconciler.departed();
    expect(kernel.counted).toEqual([]);
    expect(kernel.attachedIds.size).toBe(0);
  });

  test("one that the kernel does not let go of is no reason to keep the others", async () => {
    const warnings: string[] = [];
    const warn = (text: string) => warnings.push(text);
    reconciler = new Reconciler({ ...kernel, logger: { ...logger, warn } as unknown as Logger });
    kernel.onUnlink = (id) => {
      if (id === 2) throw new Error("EBUSY");
    };
    await reconciler.reconcile(KEY, want(CALLS));
    await reconciler.reconcile(KEY, undefined);
    await reconciler.departed();
    expect([...kernel.attachedIds]).toEqual([2]);
    expect(warnings).toEqual(["detach __x64_sys_setgid: EBUSY"]);
  });
});
