/** The end of a child process. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/** Status and signal of a child that has ended, now or before: its exit event comes once, and may come early. */
export async function exitOf(
  child: ChildProcess,
): Promise<[status: number | null, signal: NodeJS.Signals | null]> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return [child.exitCode, child.signalCode];
}
