/** A process image: what a pid runs from one exec, or from its fork, to the next. */

import type { ContainerRef } from "../pods/container-id.ts";
import type { PodContext } from "../pods/pod-context.ts";
import type { ContainerProcess } from "../pods/resolver.ts";
import type { Credentials, Namespaces } from "../records/decode-exec.ts";
import { type Encoded, noneEncoded } from "../records/encoded.ts";

/** exec_seq of an image that was found in /proc, until its first record. */
export const SEQ_UNKNOWN = -1;

/** What an image is from its beginning on; a forked child shares its parent's. */
export interface ProcessFacts {
  /** Effective uid at exec; absent when it could not be read. */
  uid?: number;
  /** Login uid; 4294967295 when unset. */
  auid: number;
  cwd: string;
  binary: string;
  /** argv[0], which `arguments` leaves out. */
  argv0: string;
  arguments: string;
  flags: number;
  /** pid in the innermost pid namespace; 0 when not known. */
  nspid: number;
  inInitTree: boolean;
  /** The container that its cgroup names. */
  container?: ContainerRef;
  credentials?: Credentials;
  namespaces?: Namespaces;
  /** Privileges gained at exec, bits EXEC_* of layout.ts; absent when they were not recorded. */
  execPrivileges?: number;
  /** Inode of an executed file that has no name any more. */
  unlinkedInode?: bigint;
  /** Label of the Linux Security Module, as /proc had it at exec. */
  securityLabel?: string;
}

/** What distinguishes a process from another one with the same pid, and an image from the next one. */
export interface ImageIdentity {
  pid: number;
  /** start_boottime of the thread group leader as two 32-bit words. */
  startLow: number;
  startHigh: number;
  /** False: rounded down to a clock tick, as /proc shows it. */
  startExact: boolean;
  seq: number;
}

/** One image, with its pod and what encoders and metrics keep for it. */
export class Image implements ContainerProcess {
  readonly pid: number;
  startLow: number;
  startHigh: number;
  startExact: boolean;
  seq: number;
  /** When the image began: of its exec record, its fork, or the start of the process. */
  readonly ktimeNs: bigint;
  readonly startTime: string;
  readonly execId: string;
  readonly parentExecId: string;
  /** Only changeFacts() replaces them. */
  facts: ProcessFacts;
  /** Forked and not executed since. */
  readonly forked: boolean;
  /** Boot time at which /proc was read, for images that come from there. */
  scannedAtNs: bigint | undefined;
  /** The image that forked or executed this one; cleared some time after this image has ended. */
  parent: Image | undefined;
  ended = false;
  /** Only setPod() replaces it. */
  pod: PodContext | undefined = undefined;
  /** Events need not wait for the pod: there is none, it is known, or the wait is over. */
  podSettled: boolean;
  /** The wait ended without a full answer, at this state of the pods. */
  podRetryAfter: number | undefined = undefined;
  /** Cleared when facts or pod change. */
  readonly encoded: Encoded = noneEncoded();
  /** Key of the metric labels that come from the process. */
  metricKey: string | undefined = undefined;

  constructor(
    identity: ImageIdentity,
    birth: { ktimeNs: bigint; startTime: string; execId: string; forked: boolean; scannedAtNs?: bigint },
    facts: ProcessFacts,
    parent: Image | undefined,
  ) {
    this.pid = identity.pid;
    this.startLow = identity.startLow;
    this.startHigh = identity.startHigh;
    this.startExact = identity.startExact;
    this.seq = identity.seq;
    this.ktimeNs = birth.ktimeNs;
    this.startTime = birth.startTime;
    this.execId = birth.execId;
    this.forked = birth.forked;
    this.scannedAtNs = birth.scannedAtNs;
    this.parentExecId = parent?.execId ?? "";
    this.facts = facts;
    this.parent = parent;
    this.podSettled = facts.container === undefined;
  }

  /** /proc shows at this boot time what no record did. */
  learn(facts: ProcessFacts, scannedAtNs: bigint): void {
    this.scannedAtNs = scannedAtNs;
    this.podSettled = facts.container === undefined;
    this.podRetryAfter = undefined;
    this.metricKey = undefined;
    this.changeFacts(facts);
  }

  /** Where events show current credentials, an image changes without an exec. */
  changeFacts(facts: ProcessFacts): void {
    this.facts = facts;
    this.encoded.fill(undefined);
  }

  /** The pod is known, or as much of it as will be. */
  setPod(pod: PodContext | undefined): void {
    this.pod = pod;
    this.podSettled = true;
    this.metricKey = undefined;
    this.encoded.fill(undefined);
  }

  /** No record will name the image any more; children that outlive it still show it as their parent. */
  drop(): void {
    this.ended = true;
    // chains of images would grow for ever in a process that executes in a loop
    this.parent = undefined;
    this.encoded.fill(undefined);
  }
}
