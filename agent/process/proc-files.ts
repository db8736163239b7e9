/** Which processes /proc shows, and parsers of the text files and links under /proc/PID. */
import { readdirSync } from "node:fs";

/** Kernel threads have this bit in the flags field of /proc/PID/stat. */
const PF_KTHREAD = 0x20_0000;
/** Clock ticks of /proc are 1/100 s on every architecture that we build for (USER_HZ). */
export const TICK_NS = 10_000_000n;

/** Pids of all processes, kernel threads included. */
export function listPids(procfs: string): number[] {
  return readdirSync(procfs)
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** The parts of /proc/PID/stat that are used. */
export interface ProcStat {
  comm: string;
  state: string;
  parentPid: number;
  kernelThread: boolean;
  threads: number;
  /** Start of the process since boot, rounded down to a tick. */
  startNs: bigint;
}

/** Undefined when the string is not a stat line. */
export function parseStat(text: string): ProcStat | undefined {
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  if (open < 0 || close < open) return undefined;
  // fields after the name, which may itself contain blanks and brackets; [0] is field 3 of proc(5)
  const fields = text.slice(close + 2).split(" ");
  const start = fields[19];
  if (start === undefined) return undefined;
  return {
    comm: text.slice(open + 1, close),
    state: fields[0] ?? "",
    parentPid: Number(fields[1]),
    kernelThread: (Number(fields[6]) & PF_KTHREAD) !== 0,
    threads: Number(fields[17]),
    startNs: BigInt(start) * TICK_NS,
  };
}

/** It only waits to be reaped; a zombie leader whose threads go on is alive. */
export function isDead(stat: ProcStat): boolean {
  return (stat.state === "Z" && stat.threads <= 1) || stat.state === "X";
}

/** The lines of /proc/PID/status by name. */
export function parseStatus(text: string): Map<string, string> {
  const lines = new Map<string, string>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) lines.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return lines;
}

/** Pid in the innermost namespace; undefined where the status file does not have it. */
export function innermostPid(status: ReadonlyMap<string, string>): number | undefined {
  const pid = status.get("NSpid")?.split("\t").at(-1);
  return pid === undefined ? undefined : Number(pid);
}

/** Path of the file that the link /proc/PID/exe is about, which may have been deleted. */
export function parseExeLink(target: string): string {
  return target.replace(/ \(deleted\)$/, "");
}

/** Last components of the process's cgroup as the exec record has them: v2 first, else the longest v1 path. */
export function parseCgroup(text: string): string {
  const paths = text
    .trim()
    .split("\n")
    .map((line) => line.split(":"))
    .map(([, controllers = "", ...path]) => ({ unified: controllers === "", path: path.join(":") }));
  const unified = paths.find(({ unified, path }) => unified && path.length > 1);
  const chosen = unified?.path ?? paths.map(({ path }) => path).sort((a, b) => b.length - a.length)[0] ?? "";
  return chosen.split("/").filter(Boolean).join("/");
}

/** The number in `kind:[NUMBER]`, which namespace links point at. */
export function parseNamespaceLink(target: string): number {
  return Number(/\[(\d+)\]/.exec(target)?.[1] ?? 0);
}
