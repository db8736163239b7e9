/** Finds the running processes of a list and their descendants in /proc, for a hook that attaches. */
import { readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import {
  innermostPid,
  isDead,
  listPids,
  parseExeLink,
  parseStat,
  parseStatus,
} from "../../process/proc-files.ts";
import type { FollowedList } from "../config/filters.ts";

/** A process in /proc. */
export interface RunningProcess {
  pid: number;
  parentPid: number;
  /** Start since boot, rounded down to a tick. */
  startNs: bigint;
  /** True if the list itself names the process. */
  listed: boolean;
}

/** Reads all processes, kernel threads included; a process that ends meanwhile is left out. */
export function readRunning(procfs: string, list: FollowedList): RunningProcess[] {
  const processes = listPids(procfs).flatMap((pid) => readProcess(join(procfs, `${pid}`), pid, list) ?? []);
  // /proc does not show the kernel itself, whose children are kernel threads.
  return [...processes, { pid: 0, parentPid: 0, startNs: 0n, listed: list.by === "pid" && isIn(list, 0) }];
}

/** The listed processes, the `carriers`, and the descendants of both; parents come before their children. Pure. */
export function followedAmong(
  processes: readonly RunningProcess[],
  carriers: ReadonlySet<number>,
): RunningProcess[] {
  const children = new Map<number, RunningProcess[]>();
  for (const process of processes) {
    if (process.pid <= 1) continue; // the BPF programs stop at process 1, too
    const siblings = children.get(process.parentPid);
    if (siblings) siblings.push(process);
    else children.set(process.parentPid, [process]);
  }
  const found = new Set(processes.filter(({ pid, listed }) => listed || carriers.has(pid)));
  // Iterating over a set also reaches the elements that are added meanwhile.
  for (const { pid } of found) for (const child of children.get(pid) ?? []) found.add(child);
  return [...found];
}

function readProcess(directory: string, pid: number, list: FollowedList): RunningProcess | undefined {
  try {
    const stat = parseStat(readFileSync(join(directory, "stat"), "utf8"));
    if (!stat || isDead(stat)) return undefined;
    const { parentPid, startNs } = stat;
    return { pid, parentPid, startNs, listed: isListed(directory, pid, list) };
  } catch {
    return undefined;
  }
}

function isListed(directory: string, pid: number, list: FollowedList): boolean {
  switch (list.by) {
    case "path":
      return isIn(list, readExe(directory));
    case "pid":
      return isIn(list, pid);
    case "namespacePid": {
      const status = parseStatus(readFileSync(join(directory, "status"), "utf8"));
      return isIn(list, innermostPid(status) ?? pid);
    }
  }
}

/** Empty for a kernel thread, and for a process whose first thread has ended. */
function readExe(directory: string): string {
  try {
    return parseExeLink(readlinkSync(join(directory, "exe")));
  } catch {
    return "";
  }
}

function isIn({ values }: { values: readonly (string | number)[] }, value: string | number): boolean {
  return values.includes(value);
}
