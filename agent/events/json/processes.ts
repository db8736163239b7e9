/** The JSON of a process image, made once and copied into each of its events. */
import type { PodContext } from "../../pods/pod-context.ts";
import { joinArguments } from "../../process/command-line.ts";
import { flagNames } from "../../process/flags.ts";
import type { Image, ProcessFacts } from "../../process/image.ts";
import type { Credentials, Namespaces } from "../../records/decode-exec.ts";
import {
  EXEC_FILE_CAPS,
  EXEC_SETGID,
  EXEC_SETGID_ROOT,
  EXEC_SETUID,
  EXEC_SETUID_ROOT,
} from "../../records/layout.ts";
import { utf8 } from "../byte-writer.ts";
import { capabilityList, securebitList } from "./capabilities.ts";

/** The bytes that the encoder keeps for an image. */
export interface EncodedProcess {
  /** The process up to its reference count, from there to the thread id, and from there to the end. */
  readonly head: Uint8Array;
  readonly middle: Uint8Array;
  readonly tail: Uint8Array;
  /** The same end in a process_exec, which has more fields. */
  readonly execTail: Uint8Array;
  /** The process as it stands in events of its children; made when there is one. */
  asParent: Uint8Array | undefined;
  /** The process and its parent, as hook events of the thread group leader begin. */
  pair: Uint8Array | undefined;
  /** What the encoder kept for the parent when it made `pair`. */
  pairParent: unknown;
}

/** What processes show beside the basics. */
export interface ProcessJsonOptions {
  /** `cap`, `process_credentials` and, in process_exec, `binary_properties`. */
  credentials?: boolean;
  /** `ns`. */
  namespaces?: boolean;
  /** Namespaces of the host, to tell `is_host`. */
  hostNamespaces?: Namespaces;
}

/** Length of `docker`: upstream's field has room for this many characters of the container id. */
const DOCKER_LENGTH = 31;

/** Everything of an image but its reference count and thread id. Fields stand in the order of upstream's message. */
export function encodeProcess(image: Image, options: ProcessJsonOptions): EncodedProcess {
  const { facts } = image;
  const credentials = options.credentials && facts.credentials ? credentialFields(facts.credentials) : "";
  const binary = options.credentials ? binaryProperties(facts) : "";
  const end = `,"in_init_tree":${facts.inInitTree}`;
  const label =
    facts.securityLabel === undefined ? "" : `,"security_label":${JSON.stringify(facts.securityLabel)}`;
  const tail = utf8(`${credentials}${end}}`);
  return {
    head: utf8(`{${headFields(image)}`),
    middle: utf8(`${middleFields(facts, options)},"tid":`),
    tail,
    execTail: binary + label === "" ? tail : utf8(`${credentials}${binary}${end}${label}}`),
    asParent: undefined,
    pair: undefined,
    pairParent: undefined,
  };
}

function headFields(image: Image): string {
  const { facts } = image;
  const fields: Record<string, unknown> = {
    exec_id: image.execId,
    pid: image.pid,
    uid: facts.uid,
    cwd: facts.cwd || undefined,
    binary: facts.binary || undefined,
    arguments: facts.arguments || undefined,
    flags: flagNames(facts.flags),
    start_time: image.startTime,
    auid: facts.auid,
    pod: image.pod === undefined ? undefined : podFields(image.pod, image),
    docker: facts.container?.id.slice(0, DOCKER_LENGTH),
    parent_exec_id: image.parentExecId || undefined,
  };
  return JSON.stringify(fields).slice(1, -1);
}

function podFields(pod: PodContext, image: Image): Record<string, unknown> {
  const { container } = pod;
  const { nspid } = image.facts;
  return {
    namespace: pod.namespace,
    name: pod.name,
    uid: pod.uid || undefined,
    container: {
      id: container.id,
      name: container.name,
      image: container.image && {
        id: container.image.id || undefined,
        name: container.image.name || undefined,
      },
      start_time: container.startTime,
      pid: nspid === 0 ? undefined : nspid,
      maybe_exec_probe: isProbe(container.probeCommands, image.facts) || undefined,
      security_context: container.privileged ? { privileged: true } : undefined,
    },
    pod_labels: sortedLabels(pod.labels),
    workload: pod.workload || undefined,
    workload_kind: pod.workloadKind || undefined,
  };
}

/** The container runtime looks the command up in PATH, so the binary may be longer than the probe says. */
function isProbe(commands: string[][], facts: ProcessFacts): boolean {
  return commands.some(([program, ...rest]) => {
    if (program !== facts.argv0 && program !== facts.binary) return false;
    return joinArguments(["", ...rest]) === facts.arguments;
  });
}

function sortedLabels(labels: Record<string, string>): Record<string, string> | undefined {
  const entries = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function middleFields(facts: ProcessFacts, options: ProcessJsonOptions): string {
  const cap =
    options.credentials && facts.credentials ? `,"cap":${JSON.stringify(capFields(facts.credentials))}` : "";
  const ns =
    options.namespaces && facts.namespaces
      ? `,"ns":${JSON.stringify(nsFields(facts.namespaces, options.hostNamespaces))}`
      : "";
  return cap + ns;
}

function capFields({ permitted, effective, inheritable }: Credentials): Record<string, unknown> {
  const sets = Object.entries({ permitted, effective, inheritable });
  const lists = sets.map(([name, mask]) => [name, capabilityList(...mask)] as const);
  return Object.fromEntries(lists.filter(([, list]) => list.length > 0));
}

function nsFields(namespaces: Namespaces, host: Namespaces | undefined): Record<string, unknown> {
  const entries = Object.entries(namespaces).filter(([, inum]) => inum !== 0);
  return Object.fromEntries(
    entries.map(([name, inum]) => [
      name,
      { inum, is_host: host?.[name as keyof Namespaces] === inum || undefined },
    ]),
  );
}

function credentialFields(credentials: Credentials): string {
  const { uid, gid, euid, egid, suid, sgid, fsuid, fsgid } = credentials;
  const securebits = securebitList(credentials.securebits);
  const fields = {
    uid,
    gid,
    euid,
    egid,
    suid,
    sgid,
    fsuid,
    fsgid,
    securebits: securebits.length > 0 ? securebits : undefined,
  };
  return `,"process_credentials":${JSON.stringify(fields)}`;
}

/** In the order of upstream's list, which is that of its enum. */
const RAISES: readonly (readonly [bit: number, name: string])[] = [
  [EXEC_FILE_CAPS, "PRIVILEGES_RAISED_EXEC_FILE_CAP"],
  [EXEC_SETUID_ROOT, "PRIVILEGES_RAISED_EXEC_FILE_SETUID"],
  [EXEC_SETGID_ROOT, "PRIVILEGES_RAISED_EXEC_FILE_SETGID"],
];

/** What the executed file gave the process, and which file it is if it has no name any more. */
function binaryProperties({ execPrivileges = 0, credentials, unlinkedInode }: ProcessFacts): string {
  const changes = RAISES.filter(([bit]) => (execPrivileges & bit) !== 0).map(([, name]) => name);
  const fields = {
    setuid: (execPrivileges & EXEC_SETUID) !== 0 ? credentials?.euid : undefined,
    setgid: (execPrivileges & EXEC_SETGID) !== 0 ? credentials?.egid : undefined,
    privileges_changed: changes.length > 0 ? changes : undefined,
    file: unlinkedInode === undefined ? undefined : { inode: { number: String(unlinkedInode), links: 0 } },
  };
  const shown = JSON.stringify(fields);
  return shown === "{}" ? "" : `,"binary_properties":${shown}`;
}
