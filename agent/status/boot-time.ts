/** Reads when the kernel booted. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The boot time that the kernel reports, as RFC 3339 in whole seconds; undefined if procfs does not have it. */
export function readBootTime(procfs: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(join(procfs, "stat"), "utf8");
  } catch {
    return undefined;
  }
  const seconds = /^btime (\d+)$/m.exec(text)?.[1];
  return seconds === undefined
    ? undefined
    : `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}Z`;
}
