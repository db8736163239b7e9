/** Finds the procfs that shows the pids of records: those of the kernel's first pid namespace. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseStat } from "./proc-files.ts";

/** Where the agent looks for the machine's procfs if /proc is that of a container; kind-config.yaml mounts it there. */
const MOUNTED_FROM_MACHINE = "/run/trigon/proc";

/** A procfs mount. */
export interface HostProcfs {
  path: string;
  /** Why its pids are not those of records, and what to do; absent if they are. */
  problem?: string;
}

/** Takes the mount that the user names; without a name, /proc or the mount from the machine, whichever is right. */
export function findHostProcfs(
  named: string | undefined,
  candidates: readonly string[] = ["/proc", MOUNTED_FROM_MACHINE],
): HostProcfs {
  const [first = "/proc", ...others] = named === undefined ? candidates : [named];
  const path = [first, ...others].find(showsKernelThreads);
  return path === undefined ? { path: first, problem: describe(named ?? first, others) } : { path };
}

/** Kernel threads are in the first pid namespace only, and the first of them is always process 2. */
function showsKernelThreads(procfs: string): boolean {
  try {
    return parseStat(readFileSync(join(procfs, "2/stat"), "utf8"))?.kernelThread === true;
  } catch {
    return false;
  }
}

function describe(path: string, others: readonly string[]): string {
  const elsewhere = others.map((other) => `, and neither is ${other}`).join("");
  return [
    `${path} is not the machine's procfs${elsewhere}: its pids would name other processes than records do`,
    `if this node runs in a container, mount the machine's /proc into it at ${MOUNTED_FROM_MACHINE}, for example with kind's extraMounts`,
    "if it is mounted elsewhere, name that directory with --procfs",
  ].join("; ");
}

/** Where the machine's securityfs is mounted: containers that are nodes have none. */
export function hostSecurityfs(procfs: string): string {
  const own = "/sys/kernel/security";
  const ofInit = join(procfs, "1/root", own);
  return !existsSync(join(own, "lsm")) && existsSync(join(ofInit, "lsm")) ? ofInit : own;
}
