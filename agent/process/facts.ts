/** What is known of an image, by where it comes from. */

import { parseContainerRef } from "../pods/container-id.ts";
import type { ExecRecord } from "../records/decode-exec.ts";
import {
  EXEC_PRIVILEGES_KNOWN,
  RECORD_ARGS_FAILED,
  RECORD_ARGS_TRUNCATED,
  RECORD_CGROUP_FAILED,
  RECORD_CRED_FAILED,
  RECORD_CWD_FAILED,
  RECORD_CWD_ROOT,
  RECORD_CWD_TRUNCATED,
  RECORD_FILENAME_FAILED,
  RECORD_NS_FAILED,
} from "../records/layout.ts";
import { absoluteBinary, joinArguments } from "./command-line.ts";
import {
  FLAG_ARGS_FAILED,
  FLAG_CGROUP_FAILED,
  FLAG_CLONE,
  FLAG_CWD_FAILED,
  FLAG_CWD_INCOMPLETE,
  FLAG_EXECVE,
  FLAG_FILENAME_FAILED,
  FLAG_IN_INIT_TREE,
  FLAG_PROCFS,
  FLAG_ROOT_CWD,
  FLAG_TRUNCATED_ARGS,
} from "./flags.ts";
import type { Image, ProcessFacts } from "./image.ts";
import type { Redact } from "./redaction.ts";
import type { ScannedProcess } from "./scan.ts";

const AUID_UNSET = 4_294_967_295;

const RECORD_TO_IMAGE: readonly [record: number, image: number][] = [
  [RECORD_ARGS_TRUNCATED, FLAG_TRUNCATED_ARGS],
  [RECORD_FILENAME_FAILED, FLAG_FILENAME_FAILED],
  [RECORD_ARGS_FAILED, FLAG_ARGS_FAILED],
  [RECORD_CWD_ROOT, FLAG_ROOT_CWD],
  [RECORD_CWD_FAILED, FLAG_CWD_FAILED],
  [RECORD_CGROUP_FAILED, FLAG_CGROUP_FAILED],
  [RECORD_CWD_TRUNCATED, FLAG_CWD_INCOMPLETE],
];

/** Facts of an exec record. `inInitTree` is what the image inherits. */
export function execFacts(
  record: ExecRecord,
  options: {
    clone: boolean;
    inInitTree: boolean;
    keepCredentials?: boolean;
    keepNamespaces?: boolean;
    securityLabel?: string | undefined;
    redact?: Redact | undefined;
  },
): ProcessFacts {
  const credentialsRead = (record.flags & RECORD_CRED_FAILED) === 0;
  const namespacesRead = (record.flags & RECORD_NS_FAILED) === 0;
  const inInitTree = options.inInitTree || isNamespaceInit(record.nspid, record.pid);
  const container = parseContainerRef(record.cgroup);
  const privilegesKnown = (record.privileges & EXEC_PRIVILEGES_KNOWN) !== 0;
  const binary = absoluteBinary(record.filename === "" ? record.exe : record.filename, record.cwd);
  const text = joinArguments(record.argv);
  return {
    ...(credentialsRead && { uid: record.credentials.euid }),
    auid: record.auid,
    cwd: record.cwd,
    binary,
    argv0: record.argv[0] ?? "",
    arguments: options.redact ? options.redact(binary, text) : text,
    flags: execFlags(record.flags, options.clone, inInitTree),
    nspid: record.nspid,
    inInitTree,
    ...(container !== undefined && { container }),
    ...(options.keepCredentials && credentialsRead && { credentials: record.credentials }),
    ...(options.keepNamespaces && namespacesRead && { namespaces: record.namespaces }),
    ...(privilegesKnown && { execPrivileges: record.privileges }),
    ...(options.securityLabel !== undefined && { securityLabel: options.securityLabel }),
    ...(record.exeLinks === 0 && record.exeInode !== 0n && { unlinkedInode: record.exeInode }),
  };
}

/** Facts of a child that has not executed: its parent's, except for what describes the parent's own exec or scan. */
export function forkFacts(parent: ProcessFacts, nspid: number, pid: number): ProcessFacts {
  const inInitTree = parent.inInitTree || isNamespaceInit(nspid, pid);
  // a child of an image of which nothing is known is no better known
  const flags = parent.flags === 0 ? 0 : FLAG_EXECVE | (inInitTree ? FLAG_IN_INIT_TREE : 0);
  return { ...parent, flags, nspid, inInitTree };
}

/** Facts of a process found in /proc; `from` is the image that it inherits from. */
export function scannedFacts(scanned: ScannedProcess, from: Image | undefined): ProcessFacts {
  const inInitTree = scanned.facts.inInitTree || from?.facts.inInitTree === true;
  const flags = scanned.facts.flags | (inInitTree ? FLAG_IN_INIT_TREE : 0);
  return { ...scanned.facts, inInitTree, flags };
}

/** Facts of an image that is neither in a record nor in /proc. The earlier image of the process, if any, has the container. */
export function unknownFacts(uid: number | undefined, previous: Image | undefined): ProcessFacts {
  const container = previous?.facts.container;
  return {
    ...(uid !== undefined && { uid }),
    auid: previous?.facts.auid ?? AUID_UNSET,
    cwd: "",
    binary: "",
    argv0: "",
    arguments: "",
    flags: 0,
    nspid: previous?.facts.nspid ?? 0,
    inInitTree: previous?.facts.inInitTree ?? false,
    ...(container !== undefined && { container }),
  };
}

/** Facts of pid 0. */
export function kernelFacts(): ProcessFacts {
  return {
    uid: 0,
    auid: AUID_UNSET,
    cwd: "",
    binary: "<kernel>",
    argv0: "",
    arguments: "",
    flags: FLAG_PROCFS,
    nspid: 0,
    inInitTree: false,
  };
}

/** First process of a pid namespace other than the host's. */
function isNamespaceInit(nspid: number, pid: number): boolean {
  return nspid === 1 && pid !== 1;
}

function execFlags(recordFlags: number, clone: boolean, inInitTree: boolean): number {
  let flags = FLAG_EXECVE;
  if (clone) flags |= FLAG_CLONE;
  if (inInitTree) flags |= FLAG_IN_INIT_TREE;
  for (const [record, image] of RECORD_TO_IMAGE) if ((recordFlags & record) !== 0) flags |= image;
  return flags;
}
