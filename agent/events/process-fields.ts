/** What events show of a process image, as the objects that the encoders make bytes of. */
import type { EventType } from "../metrics/event-metrics.ts";
import type { PodContext } from "../pods/pod-context.ts";
import { joinArguments } from "../process/command-line.ts";
import { flagNames } from "../process/flags.ts";
import type { Image, ProcessFacts } from "../process/image.ts";
import type { Credentials, Namespaces } from "../records/decode-exec.ts";
import {
  EXEC_FILE_CAPS,
  EXEC_SETGID,
  EXEC_SETGID_ROOT,
  EXEC_SETUID,
  EXEC_SETUID_ROOT,
} from "../records/layout.ts";
import { capabilityList, securebitList } from "./json/capabilities.ts";

/** What processes show beside the basics. */
export interface ProcessFieldOptions {
  /** `cap`, `process_credentials` and, in process_exec, `binary_properties`. */
  credentials?: boolean;
  /** `ns`. */
  namespaces?: boolean;
  /** Namespaces of the host, for `is_host`. */
  hostNamespaces?: Namespaces;
  /** `user`: the name of the uid, where it is certain. */
  userName?(image: Image): string | undefined;
  /** Types of events that list the ancestors beyond the parent. */
  ancestors?: ReadonlySet<EventType>;
}

/** Fields of a message under their names in JSON; those that are undefined are absent. */
export type Fields = Record<string, unknown>;

/** Length of `docker`: upstream's field holds this many characters of the container id. */
const DOCKER_LENGTH = 31;

/** Everything of an image but its reference count and thread id, in the order of upstream's message. */
export function processFields(image: Image, options: ProcessFieldOptions): Fields {
  const { facts } = image;
  return {
    ...identityFields(image),
    ...setFields(facts, options),
    ...credentialFields(facts, options),
    ...userFields(image, options),
    in_init_tree: facts.inInitTree,
  };
}

/** The fields before the reference count. */
export function identityFields(image: Image): Fields {
  const { facts } = image;
  return {
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
}

function podFields(pod: PodContext, image: Image): Fields {
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
    pod_labels: sorted(pod.labels),
    workload: pod.workload || undefined,
    workload_kind: pod.workloadKind || undefined,
    pod_annotations: sorted(pod.annotations),
  };
}

/**
 * Whether the process runs one of the commands. The container runtime looks the command up in PATH, so the binary may be
 * longer than the probe's first argument.
 */
export function isProbe(commands: string[][], facts: ProcessFacts): boolean {
  return commands.some(([program, ...rest]) => {
    if (program !== facts.argv0 && program !== facts.binary) return false;
    return joinArguments(["", ...rest]) === facts.arguments;
  });
}

function sorted(values: Record<string, string>): Record<string, string> | undefined {
  const entries = Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** The fields between reference count and thread id. */
export function setFields(facts: ProcessFacts, options: ProcessFieldOptions): Fields {
  const { credentials, namespaces } = facts;
  return {
    cap: options.credentials && credentials ? capFields(credentials) : undefined,
    ns: options.namespaces && namespaces ? nsFields(namespaces, options.hostNamespaces) : undefined,
  };
}

function capFields({ permitted, effective, inheritable }: Credentials): Fields {
  const sets = Object.entries({ permitted, effective, inheritable });
  const lists = sets.map(([name, mask]) => [name, capabilityList(...mask)] as const);
  return Object.fromEntries(lists.filter(([, list]) => list.length > 0));
}

function nsFields(namespaces: Namespaces, host: Namespaces | undefined): Fields {
  const entries = Object.entries(namespaces).filter(([, inum]) => inum !== 0);
  return Object.fromEntries(
    entries.map(([name, inum]) => [
      name,
      { inum, is_host: host?.[name as keyof Namespaces] === inum || undefined },
    ]),
  );
}

/** The fields after the thread id. */
export function credentialFields({ credentials }: ProcessFacts, options: ProcessFieldOptions): Fields {
  if (!options.credentials || !credentials) return {};
  const { uid, gid, euid, egid, suid, sgid, fsuid, fsgid } = credentials;
  const bits = securebitList(credentials.securebits);
  const securebits = bits.length > 0 ? bits : undefined;
  return { process_credentials: { uid, gid, euid, egid, suid, sgid, fsuid, fsgid, securebits } };
}

/** The field before `in_init_tree`. */
export function userFields(image: Image, { userName }: ProcessFieldOptions): Fields {
  const name = userName?.(image);
  return { user: name === undefined ? undefined : { name } };
}

/** Long enough for any process tree that is no mistake. */
const MAX_ANCESTORS = 256;

/** What lies beyond the parent, nearest first, as far as it is known; the kernel itself is left out. */
export function ancestorsOf(image: Image): Image[] {
  const ancestors: Image[] = [];
  for (
    let one = image.parent?.parent;
    one !== undefined && one.pid !== 0 && ancestors.length < MAX_ANCESTORS;
    one = one.parent
  )
    ancestors.push(one);
  return ancestors;
}

/** What a process_exec shows beyond the other events. */
export function executedFields(facts: ProcessFacts, options: ProcessFieldOptions): Fields {
  const binary = options.credentials ? binaryProperties(facts) : {};
  const isShown = Object.values(binary).some((value) => value !== undefined);
  return { binary_properties: isShown ? binary : undefined, security_label: facts.securityLabel };
}

/** In the order of upstream's list, which is that of its enum. */
const RAISES: readonly (readonly [bit: number, name: string])[] = [
  [EXEC_FILE_CAPS, "PRIVILEGES_RAISED_EXEC_FILE_CAP"],
  [EXEC_SETUID_ROOT, "PRIVILEGES_RAISED_EXEC_FILE_SETUID"],
  [EXEC_SETGID_ROOT, "PRIVILEGES_RAISED_EXEC_FILE_SETGID"],
];

/** What the executed file gave the process, and which file it is if it has no name any more. */
function binaryProperties({ execPrivileges = 0, credentials, unlinkedInode }: ProcessFacts): Fields {
  const changes = RAISES.filter(([bit]) => (execPrivileges & bit) !== 0).map(([, name]) => name);
  return {
    setuid: (execPrivileges & EXEC_SETUID) !== 0 ? credentials?.euid : undefined,
    setgid: (execPrivileges & EXEC_SETGID) !== 0 ? credentials?.egid : undefined,
    privileges_changed: changes.length > 0 ? changes : undefined,
    file: unlinkedInode === undefined ? undefined : { inode: { number: String(unlinkedInode), links: 0 } },
  };
}
