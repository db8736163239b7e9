import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (how: { type: "major"; flavor: "last-resort" }) => void;

let collect: Collect | undefined;

/**
 * Collects all garbage at once, compiled code that has not run for a while included. V8 itself waits for the heap to
 * grow, which it does not at rest. Takes tens of milliseconds.
 */
export function collectGarbage(): void {
  if (!collect) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as Collect;
    setFlagsFromString("--no-expose-gc");
  }
  collect({ type: "major", flavor: "last-resort" });
}
