import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { hookSpecHash } from "../../crds/hook-spec-codec.ts";
import type { Logger } from "../../lib/logger.ts";
import { until } from "../../lib/testing/waiting.ts";
import { PolicyLoop } from "./loop.ts";
import { type Reconciler, TransientAttachError } from "./reconcile.ts";
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

  keys() {
    return [...this.running];
  }
  reconcile(key: string, desired: DesiredPolicy | undefined): boolean {
    this.calls.push(`${desired ? "+" : "-"}${key}`);
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
const onOutcome = vi.fn();

beforeEach(() => {
  onOutcome.mockClear();
  source = new FakeSource();
  reconciler = new FakeReconciler();
  const backoff = { initialMs: 1, maxMs: 2 };
  loop = new PolicyLoop({
    sources: [source],
    reconciler: reconciler as unknown as Reconciler,
    logger,
    onOutcome,
    backoff,
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
