/** Hook records from within an exec. They wait for the exec's record, which decides their image. */
import type { ProcessCache } from "../../process/cache.ts";
import type { RecordIdentity } from "../../process/identity.ts";
import type { Image } from "../../process/image.ts";
import type { RecordBatch } from "../../records/decode.ts";
import type { HookEntry } from "../hooks.ts";
import { WaitingRoom } from "./waiting-room.ts";

/** A hook record of its own, at word 0 of its batch. */
export interface HeldRecord {
  batch: RecordBatch;
  hook: HookEntry;
  identity: RecordIdentity;
}

/** What the hold is built from. */
export interface ExecHoldDeps {
  processes: ProcessCache;
  nowMs: () => number;
  waitMs: number;
  maxRecords: number;
  /** Called with a record once its image is known. */
  emit(record: HeldRecord, image: Image): void;
}

/**
 * The kernel counts an exec (exec_seq) before it reports it; what it does in between, commit_creds for one, belongs to
 * the image before the exec. The first record of an image whose exec record is lost looks the same: the two are told apart
 * by time, or by the next record of the process.
 */
export class ExecHold {
  readonly #deps: ExecHoldDeps;
  /** By pid. */
  readonly #room: WaitingRoom<HeldRecord>;

  constructor(deps: ExecHoldDeps) {
    this.#deps = deps;
    this.#room = new WaitingRoom(deps.maxRecords);
  }

  /** Records that wait. */
  get count(): number {
    return this.#room.count;
  }

  /** False when there is no room. */
  hold(record: HeldRecord): boolean {
    const { nowMs, waitMs } = this.#deps;
    return this.#room.add(String(record.identity.pid), record, nowMs() + waitMs);
  }

  /** The exec with this exec_seq has its record, or has failed: what waited for it belongs to the image before it. */
  done(pid: number, seq: number): void {
    if (this.#room.count === 0) return;
    const { processes, emit } = this.#deps;
    for (const record of this.#room.take(String(pid))) {
      const { identity } = record;
      const earlier = identity.seq === seq ? processes.executing(identity) : undefined;
      emit(record, earlier ?? processes.resolve(identity));
    }
  }

  /** The exec's record is lost: what waited belongs to an image that no record has introduced. */
  lost(pid: number): void {
    if (this.#room.count > 0) this.#lost(String(pid));
  }

  /** A process does not fork while it executes: a child with the exec_seq that its records wait for ends the wait. */
  forked(creatorPid: number, childSeq: number): void {
    if (this.#room.first(String(creatorPid))?.identity.seq === childSeq) this.lost(creatorPid);
  }

  /** Ends waits that are over. */
  tick(): void {
    if (this.#room.count === 0) return;
    for (const pid of this.#room.overdue(this.#deps.nowMs())) this.#lost(pid);
  }

  /** Ends all waits. */
  releaseAll(): void {
    for (const pid of this.#room.keys()) this.#lost(pid);
  }

  #lost(pid: string): void {
    const { processes, emit } = this.#deps;
    for (const record of this.#room.take(pid)) emit(record, processes.resolve(record.identity));
  }
}
