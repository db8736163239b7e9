/** System calls that change what matchCapabilityChanges and matchNamespaceChanges compare. */

/** System calls that change the caller's capabilities. */
export const CHANGE_CAPABILITIES: ReadonlySet<string> = new Set([
  "capset",
  "setuid",
  "setreuid",
  "setresuid",
  "setfsuid",
  "unshare",
  "setns",
]);
/** System calls that change the caller's namespaces. */
export const CHANGE_NAMESPACES: ReadonlySet<string> = new Set(["unshare", "setns"]);
/** System calls that install new credentials and then run another program. */
export const EXECS: ReadonlySet<string> = new Set(["execve", "execveat"]);
