/** Finds the host's namespaces: those of process 1 in the given procfs. */
import { readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { NAMESPACE_FILES, type NamespaceName } from "../../../crds/linux.ts";
import { parseStatus } from "../../process/proc-files.ts";
import { HookError } from "../hook-error.ts";

/** Reads the inode number of a host namespace; throws a HookError if it cannot be read, or the kernel lacks it. */
export function hostNamespace(procfs: string, name: NamespaceName): number {
  const path = join(procfs, "1/ns", NAMESPACE_FILES[name]);
  try {
    return readNamespace(path);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const isForbidden = code === "EACCES" || code === "EPERM";
    if (isForbidden && name === "Pid" && isOfOwnPidNamespace(procfs)) {
      return readNamespace(join(procfs, "self/ns/pid")); // process 1 is its first process
    }
    throw isForbidden
      ? new HookError(
          "AttachFailed",
          `host_ns of namespace ${name}: read ${path}: ${code} (needs CAP_SYS_PTRACE, and every capability of process 1)`,
        )
      : new HookError("KernelUnsupported", `host_ns of namespace ${name}: read ${path}: ${code ?? message}`);
  }
}

/** Whether the pids in this procfs are those of this process's own pid namespace. */
function isOfOwnPidNamespace(procfs: string): boolean {
  const status = parseStatus(readFileSync(join(procfs, "self/status"), "utf8"));
  return status.get("NSpid") === String(process.pid); // otherwise it has one pid per nested namespace
}

function readNamespace(path: string): number {
  const target = readlinkSync(path);
  const inode = parseNamespaceLink(target);
  if (inode === undefined) throw new Error(`${target} is not a namespace`);
  return inode;
}

/** The number in `pid:[4026531836]`. */
export function parseNamespaceLink(target: string): number | undefined {
  const digits = /:\[(\d+)\]$/.exec(target)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
