import { ApiException, type V1Lease } from "@kubernetes/client-node";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { makeLogger } from "../../lib/testing/api-server.ts";
import { Elector } from "./elector.ts";

/** One lease, with the conflicts of the API server. */
class Leases {
  lease: V1Lease | undefined;
  isAway = false;
  #version = 0;

  async readNamespacedLease(): Promise<V1Lease> {
    this.#check();
    if (!this.lease) throw new ApiException(404, "", "", {});
    return structuredClone(this.lease);
  }
  async createNamespacedLease({ body }: { body: V1Lease }): Promise<V1Lease> {
    this.#check();
    if (this.lease) throw new ApiException(409, "", "", {});
    return this.#store(body);
  }
  async replaceNamespacedLease({ body }: { body: V1Lease }): Promise<V1Lease> {
    this.#check();
    const version = this.lease?.metadata?.resourceVersion;
    if (version !== body.metadata?.resourceVersion) throw new ApiException(409, "", "", {});
    return this.#store(body);
  }
  #check() {
    if (this.isAway) throw new Error("connect ECONNREFUSED");
  }
  #store(body: V1Lease): V1Lease {
    this.lease = { ...body, metadata: { ...body.metadata, resourceVersion: String(++this.#version) } };
    return this.lease;
  }
}

let leases: Leases;
const stop = new AbortController();
beforeEach(() => {
  vi.useFakeTimers();
  leases = new Leases();
});
afterEach(() => vi.useRealTimers());

function makeElector(identity: string, monotonicMs: () => number = () => Date.now()): Elector {
  const at = { namespace: "n", name: "trigon-operator" };
  return new Elector({ coordination: leases, ...at, identity, logger: makeLogger(), monotonicMs });
}
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

test("the second replica leads when the first one gives the lease back", async () => {
  const [a, b] = [makeElector("a"), makeElector("b")];
  await a.acquire(stop.signal);
  void b.acquire(stop.signal);
  await pass(60);
  await a.release();
  expect(a.leadsForMs).toBe(0);
  await pass(2_000);
  expect(b.leadsForMs).toBeGreaterThan(0);
});

test("a leader that renews keeps leading", async () => {
  const [a, b] = [makeElector("a"), makeElector("b")];
  await a.acquire(stop.signal);
  void a.hold(stop.signal);
  void b.acquire(stop.signal);
  await pass(60_000);
  expect(a.leadsForMs).toBeGreaterThan(5_000);
  expect(b.leadsForMs).toBe(0);
});

test("a leader that cannot renew stops writing before the next one begins, and ends when it sees it", async () => {
  const [a, b] = [makeElector("a"), makeElector("b")];
  await a.acquire(stop.signal);
  const lost = vi.fn();
  void a.hold(stop.signal).then(lost);
  const replace = vi.spyOn(leases, "replaceNamespacedLease").mockRejectedValue(new Error("ECONNREFUSED"));
  void b.acquire(stop.signal);
  await pass(10_000);
  expect([a.leadsForMs, b.leadsForMs]).toEqual([0, 0]);
  expect(lost).not.toHaveBeenCalled();
  const original = Leases.prototype.replaceNamespacedLease.bind(leases);
  replace.mockImplementation((request) =>
    request.body.spec?.holderIdentity === "b" ? original(request) : Promise.reject(new Error("ECONNREFUSED")),
  );
  await pass(6_000);
  expect(b.leadsForMs).toBeGreaterThan(0);
  expect(a.leadsForMs).toBe(0);
  expect(lost).toHaveBeenCalled();
});

test("a leader that could not renew for long goes on if nobody else has led", async () => {
  const a = makeElector("a");
  await a.acquire(stop.signal);
  const lost = vi.fn();
  void a.hold(stop.signal).then(lost);
  leases.isAway = true;
  await pass(60_000);
  expect(a.leadsForMs).toBe(0);
  leases.isAway = false;
  await pass(3_000);
  expect(a.leadsForMs).toBeGreaterThan(0);
  expect(lost).not.toHaveBeenCalled();
});

test("a leader that was frozen for longer than its lease knows it by its clock, before any answer", async () => {
  let frozenMs = 0;
  const a = makeElector("a", () => Date.now() + frozenMs);
  await a.acquire(stop.signal);
  expect(a.leadsForMs).toBeGreaterThan(0);
  frozenMs = 20_000;
  expect(a.leadsForMs).toBe(0);
  leases.lease = { ...leases.lease, spec: { ...leases.lease?.spec, holderIdentity: "" } };
  const write = vi.spyOn(leases, "replaceNamespacedLease");
  const held = a.hold(stop.signal);
  await pass(2_000);
  await held; // another replica has led and given the lease back
  expect(write).not.toHaveBeenCalled();
});

test("of two replicas that find the lease free, one leads", async () => {
  const electors = ["a", "b", "c"].map((name) => makeElector(name));
  for (const elector of electors) void elector.acquire(stop.signal);
  await pass(100);
  expect(electors.filter(({ leadsForMs }) => leadsForMs > 0)).toHaveLength(1);
});
