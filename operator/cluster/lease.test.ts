import type { V1Lease } from "@kubernetes/client-node";
import { describe, expect, test } from "vitest";
import { LEASE_TIMING, nextLease, planLease, sight } from "./lease.ts";

const AT = { namespace: "trigon-system", name: "trigon-operator" };
const held = (holderIdentity: string, resourceVersion = "1", leaseDurationSeconds = 12): V1Lease => ({
  metadata: { resourceVersion },
  spec: { holderIdentity, leaseDurationSeconds },
});
const NOW = 100_000;
const seen = (msAgo: number) => ({ resourceVersion: "1", at: NOW - msAgo });

const plans: Record<string, { lease: V1Lease | undefined; msAgo: number; want: object }> = {
  "takes a lease that does not exist": {
    lease: undefined,
    msAgo: 0,
    want: { step: "take", isNewHolder: true },
  },
  "takes one that was given back": { lease: held(""), msAgo: 0, want: { step: "take", isNewHolder: true } },
  "renews its own": { lease: held("me"), msAgo: 0, want: { step: "take", isNewHolder: false } },
  "waits for another holder": {
    lease: held("other"),
    msAgo: 11_999,
    want: { step: "wait", holder: "other" },
  },
  "takes one that has not changed for its duration": {
    lease: held("other"),
    msAgo: 12_000,
    want: { step: "take", isNewHolder: true },
  },
  "waits for as long as the holder's own duration": {
    lease: held("other", "1", 60),
    msAgo: 59_000,
    want: { step: "wait", holder: "other" },
  },
};
describe("a replica", () => {
  test.each(Object.entries(plans))("%s", (_name, { lease, msAgo, want }) => {
    expect(planLease(lease, "me", seen(msAgo), NOW)).toEqual(want);
  });
});

test("a renewal starts the time anew, reading does not", () => {
  const first = sight(held("other", "1"), undefined, 10);
  expect(sight(held("other", "1"), first, 500)).toEqual({ resourceVersion: "1", at: 10 });
  expect(sight(held("other", "2"), first, 500)).toEqual({ resourceVersion: "2", at: 500 });
});

test("a leader stops writing well before it is replaced, and a dead one is replaced within 20 s", () => {
  const { durationMs, deadlineMs, retryMs } = LEASE_TIMING;
  expect(durationMs - deadlineMs).toBeGreaterThanOrEqual(4_000);
  expect(deadlineMs).toBeGreaterThanOrEqual(3 * retryMs);
  expect(durationMs + retryMs).toBeLessThan(20_000);
});

describe("the lease that is written", () => {
  const then = new Date("2026-01-01T00:00:00Z");
  const now = new Date("2026-01-01T00:00:02Z");
  const first = nextLease(undefined, AT, "me", LEASE_TIMING, then);

  test("is complete when it is new", () => {
    expect(first).toMatchObject({
      metadata: AT,
      spec: { holderIdentity: "me", leaseDurationSeconds: 12, leaseTransitions: 1 },
    });
    expect(first.spec?.renewTime?.toISOString()).toBe("2026-01-01T00:00:00.000000Z");
  });

  test("keeps the time of acquisition when it is renewed", () => {
    const renewed = nextLease(first, AT, "me", LEASE_TIMING, now);
    expect(renewed.spec).toMatchObject({ acquireTime: then, renewTime: now, leaseTransitions: 1 });
  });

  test("is bound to the version that was read", () => {
    expect(nextLease(held("other", "7"), AT, "me", LEASE_TIMING, now)).toMatchObject({
      metadata: { resourceVersion: "7" },
      spec: { acquireTime: now, leaseTransitions: 1 },
    });
  });

  test("has no holder when it is given back", () => {
    expect(nextLease(first, AT, "", LEASE_TIMING, now).spec).toMatchObject({
      holderIdentity: "",
      leaseTransitions: 1,
    });
  });
});
