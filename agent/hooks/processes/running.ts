/** Who descends from the processes of a list, as /proc shows it: what runs already when a hook attaches. */
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

/** One that /proc shows. */
export interface RunningProcess {
  pid: number;
  parentPid: number;
  /** Start since boot, rounded down to a tick. */
  startNs: bigint;
  /** By the list itself. */
  listed: boolean;
}

/** All processes, kernel threads included; one that ends meanwhile is no error. */
export function readRunning(procfs: string, list: FollowedList): RunningProcess[] {
  const processes = listPids(procfs).flatMap((pid) => readProcess(join(procfs, `${pid}`), pid, list) ?? []);
  // /proc does not show the kernel itself, whose children are kernel threads.
  return [...processes, { pid: 0, parentPid: 0, startNs: 0n, listed: list.by === "pid" && isIn(list, 0) }];
}

/** Those of the list, and who descends from them or from `carriers`; parents before their children. Pure. */
export function followedAmong(
  processes: readonly RunningProcess[],
  carriers: ReadonlySet<number>,
): RunningProcess[] {
  const children = new Map<number, RunningProcess[]>();
  for (const process of processes) {
    if (process.pid <= 1) continue; // the kernel side does not look beyond it either
    const siblings = children.get(process.parentPid);
    if (siblings) siblings.push(process);
    else children.set(process.parentPid, [process]);
  }
  const found = new Set(processes.filter(({ pid, listed }) => listed || carriers.has(pid)));
  // The walk through a set comes to what is added meanwhile.
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
