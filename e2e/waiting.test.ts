import { expect, test } from "vitest";
import { waitUntil } from "./waiting.ts";

const soon = { what: "three", intervalMs: 1, stallMs: 60 };
const calm = { ...soon, state: async () => "all the same" };

/** Comes after so many calls. */
function steps(states: number) {
  let calls = 0;
  return {
    probe: async () => ++calls > states && calls,
    state: async () => `after ${calls} calls`,
  };
}

test("what comes ends the wait", async () => {
  expect(await waitUntil({ ...soon, ...steps(3) })).toBe(4);
});

test("while something changes it waits longer than nothing may take", async () => {
  const start = Date.now();
  const probe = async () => Date.now() - start > 240;
  await waitUntil({ ...soon, probe, state: async () => `${Date.now()}` });
  expect(Date.now() - start).toBeGreaterThan(240);
});

test("when nothing changes it says what was seen last", async () => {
  const nothing = waitUntil({ ...calm, probe: async () => false });
  await expect(nothing).rejects.toThrow(
    "three: not yet, and nothing new has happened for 0.001 minutes; seen last:\nall the same",
  );
});

test("what goes back and forth is no progress", async () => {
  let starts = 0;
  const state = async () => (++starts % 2 ? "Running" : "CrashLoopBackOff");
  await expect(waitUntil({ ...soon, probe: async () => false, state })).rejects.toThrow(/^three: not yet/);
});

test("an error of the probe counts as not yet, and the last one is told", async () => {
  let calls = 0;
  const probe = async () => {
    throw new Error(`no connection ${++calls}`);
  };
  await expect(waitUntil({ ...calm, probe })).rejects.toThrow(/seen last:\nno connection \d+\nall the same$/);
});

test("a state that cannot be seen is a state", async () => {
  const state = async () => {
    throw new Error("no server");
  };
  await expect(waitUntil({ ...soon, probe: async () => false, state })).rejects.toThrow(
    /seen last:\nno server$/,
  );
});

test("a wait that has no use any more ends at once", async () => {
  const alive = async () => {
    throw new Error("etcd ended (exit status 1)");
  };
  await expect(waitUntil({ ...calm, probe: async () => false, alive })).rejects.toThrow(/^etcd ended/);
});
