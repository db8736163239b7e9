import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { hookSpecHash } from "../../crds/hook-spec-codec.ts";
import type { Logger } from "../../lib/logger.ts";
import { until } from "../../lib/testing/waiting.ts";
import { PolicyLoop } from "./loop.ts";
import { type Course, type Reconciler, TransientAttachError } from "./reconcile.ts";
import type { DesiredPolicy, SpecSource } from "./sources/source.ts";
import { makeHookSpec } from "./testing/policies.ts";

const logger = { info: () => {}, warn: () => {}, error: () => {} } as unknown as Logger;

/** A source whose policies are set by the test. */
class FakeSource implements SpecSource {
  readonly name = "fake";
  #policies: Map<string, DesiredPolicy> | undefined;
  #listener = () => {};

  set(...names: string[]): void {
    this.#policies = new Map(names.map((name) => [`TracingPolicy/${name}`, makePolicy(name)]));
    this.#listener();
  }
  desired() {
    return this.#policies;
  }
  onChange(listener: () => void) {
    this.#listener = listener;
  }
  close() {}
}

function makePolicy(name: string): DesiredPolicy {
  const spec = makeHookSpec(name, ["sys_setuid"]);
  return { ref: spec.policy, hash: hookSpecHash(spec), origin: "fake", spec };
}

/** Records the requests; the kernel lacks memory for each `short` policy the given number of times. */
class FakeReconciler {
  readonly running = new Set<string>();
  readonly calls: string[] = [];
  readonly short = new Map<string, number>();

  /** Called while a policy is being attached. */
  onAttach: (course: Course) => void | Promise<void> = () => {};

  readonly announced = new Set<string>();

  keys() {
    return [...this.running, ...this.announced];
  }
  announce(key: string) {
    this.announced.add(key);
  }
  async reconcile(key: string, desired: DesiredPolicy | undefined, course: Course): Promise<boolean> {
    this.calls.push(`${desired ? "+" : "-"}${key}`);
    if (desired) await this.onAttach(course);
    this.announced.delete(key);
    const left = this.short.get(key) ?? 0;
    this.short.set(key, left - 1);
    if (left > 0) throw new TransientAttachError("ENOMEM");
    if (desired) this.running.add(key);
    else this.running.delete(key);
    return true;
  }
}

let source: FakeSource;
let reconciler: FakeReconciler;
let loop: PolicyLoop;
let nowMs: number;
const onOutcome = vi.fn();

beforeEach(() => {
  onOutcome.mockClear();
  nowMs = 0;
  source = new FakeSource();
  reconciler = new FakeReconciler();
  const backoff = { initialMs: 1, maxMs: 2 };
  loop = new PolicyLoop({
    sources: [source],
    reconciler: reconciler as unknown as Reconciler,
    logger,
    onOutcome,
    backoff,
    nowMs: () => nowMs,
  });
  loop.start();
});
afterEach(() => loop.stop());

test("is not ready before every source has been read and every policy tried", async () => {
  expect(loop.problem).toBe("not read yet: fake");
  source.set("a", "b");
  expect(loop.problem).toBe("not attached yet: TracingPolicy/a, TracingPolicy/b");
  await loop.initialSetTried;
  expect(loop.problem).toBeUndefined();
  expect(onOutcome).toHaveBeenCalledTimes(2);
});

test("an empty set is ready at once", async () => {
  source.set();
  await loop.initialSetTried;
  expect(loop.problem).toBeUndefined();
});

test("a policy that is not wanted any more is taken away", async () => {
  source.set("a", "b");
  await loop.initialSetTried;
  source.set("b");
  await until(() => expect(reconciler.keys()).toEqual(["TracingPolicy/b"]));
});

test("a policy that found the kernel short of memory is ready as tried, and is tried again", async () => {
  reconciler.short.set("TracingPolicy/a", 2);
  source.set("a");
  await loop.initialSetTried;
  await until(() => expect(reconciler.keys()).toEqual(["TracingPolicy/a"]));
  expect(reconciler.calls).toHaveLength(3);
  expect(onOutcome).toHaveBeenCalledTimes(3);
});

test("nothing happens after stop", async () => {
  source.set("a");
  await loop.initialSetTried;
  await loop.stop();
  source.set("b");
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(reconciler.keys()).toEqual(["TracingPolicy/a"]);
});

/** Starts to attach the policy "a" and stops in the middle of it; the result ends it. */
async function stopInTheMiddle(): Promise<{ course: Course; goOn(): void }> {
  const begun = Promise.withResolvers<Course>();
  const gate = Promise.withResolvers<void>();
  reconciler.onAttach = (course) => {
    begun.resolve(course);
    return gate.promise;
  };
  source.set("a");
  return { course: await begun.promise, goOn: gate.resolve };
}

test("a deletion gives up what is being attached, and is carried out after it", async () => {
  const { course, goOn } = await stopInTheMiddle();
  expect(course.isWanted()).toBe(true);
  source.set();
  expect([course.isWanted(), course.isEnding()]).toEqual([false, false]);
  expect(reconciler.calls).toEqual(["+TracingPolicy/a"]);
  goOn();
  await until(() => expect(reconciler.calls).toEqual(["+TracingPolicy/a", "-TracingPolicy/a"]));
});

test("edits wait for the one that is being attached, and become one", async () => {
  const { course, goOn } = await stopInTheMiddle();
  for (let edits = 0; edits < 3; edits++) source.set("a");
  expect(course.isWanted()).toBe(true);
  expect(reconciler.calls).toEqual(["+TracingPolicy/a"]);
  goOn();
  await until(() => expect(reconciler.calls).toEqual(["+TracingPolicy/a", "+TracingPolicy/a"]));
});

test("stopping gives up what is being attached, and waits until it is", async () => {
  const { course, goOn } = await stopInTheMiddle();
  let isStopped = false;
  const stopped = loop.stop().then(() => {
    isStopped = true;
  });
  expect([course.isWanted(), course.isEnding()]).toEqual([false, true]);
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(isStopped).toBe(false);
  goOn();
  await stopped;
});

test("is alive as long as hooks are attached, however slowly, and not when one has no end", async () => {
  const { course, goOn } = await stopInTheMiddle();
  for (let hooks = 0; hooks < 100; hooks++) {
    nowMs += 14 * 60_000;
    expect(loop.stall).toBeUndefined();
    course.onProgress();
  }
  nowMs += 16 * 60_000;
  expect(loop.stall).toBe("a hook has been in the kernel's hands for 16 minutes");
  goOn();
  await until(() => expect(loop.stall).toBeUndefined());
});
