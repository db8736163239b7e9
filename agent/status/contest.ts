/** Notices when somebody else changes again and again what this agent writes: a second agent on the node, above all. */

/** So many corrections are made at once: a person's edit, a restore. */
const QUICK = 3;
const WINDOW_MS = 600_000;
const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 60_000;

/** Changes by others in the last ten minutes. Times are in milliseconds of one clock. */
export class Contest {
  #changes: number[] = [];

  /** Counts a change; returns how much longer than usual the correction waits, so that two agents do not race. */
  noteChange(now: number): number {
    this.#changes = [...this.#recent(now), now].slice(-QUICK - 7);
    const contested = this.#changes.length - QUICK;
    return contested <= 0 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (contested - 1), MAX_DELAY_MS);
  }

  /** For /readyz; undefined while changes by others are rare. */
  problem(now: number): string | undefined {
    const { length } = this.#recent(now);
    if (length <= QUICK) return undefined;
    return (
      "something else keeps changing this node's TracingNode: is there a second Trigon agent on the node? " +
      "Look for it: kubectl get pods -A -l app.kubernetes.io/name=trigon -o wide"
    );
  }

  #recent(now: number): number[] {
    return this.#changes.filter((at) => at > now - WINDOW_MS);
  }
}
