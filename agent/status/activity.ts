/** How much the policies of this node report, and where it comes from, measured once a minute. Pure. */
import { noisiest, type PolicyActivity } from "../../crds/policy-activity.ts";

/** Events of a policy from one place, since the agent started. */
export interface EventCount {
  policy: string;
  namespace: string;
  binary: string;
  count: number;
}

type Rate = Omit<PolicyActivity, "pods">;
type Sums = Map<string, number>;

/** What was counted of a policy until a measurement. */
interface Counts {
  total: number;
  namespaces: Sums;
  binaries: Sums;
}

const QUIET: Rate = { perMinute: 0, namespaces: [], binaries: [] };

/** Compares each measurement with the one before. */
export class ActivityMeter {
  #before = new Map<string, Counts>();
  #rates = new Map<string, Rate>();

  /** To be called once a minute with all counts. */
  measure(counts: Iterable<EventCount>): void {
    const now = sumUp(counts);
    this.#rates = new Map([...now].map(([policy, sums]) => [policy, rateOf(sums, this.#before.get(policy))]));
    this.#before = now;
  }

  /** Of the last minute that was measured. */
  rateOf(policy: string): Rate {
    return this.#rates.get(policy) ?? QUIET;
  }
}

function sumUp(counts: Iterable<EventCount>): Map<string, Counts> {
  const all = new Map<string, Counts>();
  for (const { policy, namespace, binary, count } of counts) {
    const sums = all.get(policy) ?? { total: 0, namespaces: new Map(), binaries: new Map() };
    all.set(policy, sums);
    sums.total += count;
    add(sums.namespaces, namespace, count);
    add(sums.binaries, binary, count);
  }
  return all;
}

function add(sums: Sums, name: string, count: number): void {
  if (name !== "") sums.set(name, (sums.get(name) ?? 0) + count);
}

function rateOf(now: Counts, before: Counts | undefined): Rate {
  return {
    perMinute: roundToOneDigit(now.total - (before?.total ?? 0)),
    namespaces: noisiest(grown(now.namespaces, before?.namespaces)),
    binaries: noisiest(grown(now.binaries, before?.binaries)),
  };
}

function grown(now: Sums, before: Sums = new Map()): [name: string, count: number][] {
  const counts = [...now].map(([name, count]): [string, number] => [name, count - (before.get(name) ?? 0)]);
  return counts.filter(([, count]) => count > 0);
}

/** Each change of the status costs the API server a write. */
function roundToOneDigit(count: number): number {
  if (count <= 0) return 0;
  const power = 10 ** Math.floor(Math.log10(count));
  return Math.round(count / power) * power;
}
