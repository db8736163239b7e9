/** Which namespaces are the host's: those of process 1 of the given procfs. */
import { readlinkSync } from "node:fs";
import { join } from "node:path";
import type { NamespaceName } from "../../crds/hook-spec.ts";
import { HookError } from "./hook-error.ts";

const FILES: Record<NamespaceName, string> = {
  Uts: "uts",
  Ipc: "ipc",
  Mnt: "mnt",
  Pid: "pid",
  PidForChildren: "pid_for_children",
  Net: "net",
  Time: "time",
  TimeForChildren: "time_for_children",
  Cgroup: "cgroup",
  User: "user",
};

/** Inode number of the host's namespace; throws a HookError where the kernel or procfs has none. */
export function hostNamespace(procfs: string, name: NamespaceName): number {
  const path = join(procfs, "1/ns", FILES[name]);
  let target: string;
  try {
    target = readlinkSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new HookError("KernelUnsupported", `host_ns of namespace ${name}: read ${path}: ${code}`, {
      cause,
    });
  }
  return parseNamespaceLink(target) ?? fail(path, target);
}

/** The number in `pid:[4026531836]`. */
export function parseNamespaceLink(target: string): number | undefined {
  const digits = /:\[(\d+)\]$/.exec(target)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function fail(path: string, target: string): never {
  throw new HookError("KernelUnsupported", `read ${path}: ${target} is no namespace`);
}
