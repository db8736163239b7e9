/** Who leads, from the lease as it is in the API server. Pure. */
import { type V1Lease, V1MicroTime } from "@kubernetes/client-node";

/** Times of the election, in the proportions of client-go. */
export interface LeaseTiming {
  /** A leader that has not renewed for this long is replaced. Whole seconds. */
  durationMs: number;
  /** A leader that has not renewed for this long stops writing: well before it is replaced. */
  deadlineMs: number;
  /** Between two attempts. */
  retryMs: number;
}

/** A dead leader is replaced within 12 s and one attempt. */
export const LEASE_TIMING: LeaseTiming = { durationMs: 12_000, deadlineMs: 8_000, retryMs: 2_000 };

/** The lease as last seen, and when it was first seen like this: clocks of different nodes are not compared. */
export interface Sighting {
  resourceVersion: string | undefined;
  at: number;
}

/** What to do about a lease. */
export type LeaseStep = { step: "wait"; holder: string } | { step: "take"; isNewHolder: boolean };

/** A lease is free if it does not exist, was given back, or has not changed for its duration. */
export function planLease(lease: V1Lease | undefined, me: string, seen: Sighting, now: number): LeaseStep {
  const holder = lease?.spec?.holderIdentity;
  if (holder === me) return { step: "take", isNewHolder: false };
  if (!holder) return { step: "take", isNewHolder: true };
  const durationMs = (lease?.spec?.leaseDurationSeconds ?? LEASE_TIMING.durationMs / 1000) * 1000;
  return now - seen.at >= durationMs ? { step: "take", isNewHolder: true } : { step: "wait", holder };
}

/** The sighting after a read: its time changes when the lease does. */
export function sight(lease: V1Lease | undefined, before: Sighting | undefined, now: number): Sighting {
  const resourceVersion = lease?.metadata?.resourceVersion;
  return before !== undefined && before.resourceVersion === resourceVersion
    ? before
    : { resourceVersion, at: now };
}

/** The lease as `holder` writes it; an empty holder gives it back. */
export function nextLease(
  lease: V1Lease | undefined,
  at: { namespace: string; name: string },
  holder: string,
  timing: LeaseTiming,
  clock: Date,
): V1Lease {
  const { spec, metadata } = lease ?? {};
  const isNewHolder = spec?.holderIdentity !== holder;
  const resourceVersion = metadata?.resourceVersion;
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { ...at, ...(resourceVersion !== undefined && { resourceVersion }) },
    spec: {
      holderIdentity: holder,
      leaseDurationSeconds: timing.durationMs / 1000,
      acquireTime: new V1MicroTime(isNewHolder ? clock : (spec?.acquireTime ?? clock)),
      renewTime: new V1MicroTime(clock),
      leaseTransitions: (spec?.leaseTransitions ?? 0) + (isNewHolder && holder !== "" ? 1 : 0),
    },
  };
}
