/** Batches of the ring buffer -> events in the outputs: the agent's data path. */

import type { EventMetrics } from "../metrics/event-metrics.ts";
import type { Count } from "../metrics/messages.ts";
import type { PodResolver } from "../pods/resolver.ts";
import type { WorkloadScopes } from "../pods/workload-scopes.ts";
import type { ProcessCache } from "../process/cache.ts";
import type { CurrentCredentials } from "../process/current-credentials.ts";
import type { RecordIdentity } from "../process/identity.ts";
import type { Image } from "../process/image.ts";
import type { ScannedProcess } from "../process/scan.ts";
import {
  decodeBatch,
  joinWords,
  RecordBatch,
  type RecordVisitor,
  W_KTIME,
  W_PID,
  W_SEQ,
  W_SIZE,
  W_START,
  W_TID,
  W_UID,
} from "../records/decode.ts";
import { decodeCgroup } from "../records/decode-cgroup.ts";
import { decodeExec } from "../records/decode-exec.ts";
import { recordFlags, recordSelector, recordSyscall } from "../records/hook-record.ts";
import { EXIT, FORK, HOOK, RECORD_SCOPE_UNDECIDED } from "../records/layout.ts";
import type { WallClock } from "../records/wall-clock.ts";
import type { HookEvent } from "./event.ts";
import type { HandOver } from "./hand-over.ts";
import { ExecHold } from "./holds/exec-hold.ts";
import { type Event, PodHold } from "./holds/pod-hold.ts";
import { countsRecord, type HookEntry, type HookInfo, HookRegistry } from "./hooks.ts";
import { type Output, Outputs } from "./outputs.ts";

/** What the pipeline is built from. */
export interface PipelineDeps {
  processes: ProcessCache;
  pods: PodResolver;
  metrics: EventMetrics;
  clock: WallClock;
  /** Those that are there from the first event on. */
  outputs: readonly Output[];
  /** Absent: events show the credentials that a process had at exec, as upstream's do. */
  currentCredentials?: CurrentCredentials;
  /** Hears of cgroups, and decides which hits are in the scope of their policy where the programs could not. */
  workloads?: WorkloadScopes;
  /** How long events wait for the pod of their container. */
  podWaitMs?: number;
  /** How long records from within an exec wait for its record. */
  execWaitMs?: number;
}

interface ProcessCount {
  hookId: number;
  pid: number;
  /** How many execs the process had before. */
  seq: number;
  count: number;
}

/** Counts that wait for records of their processes. */
interface EarlyCounts {
  counts: ProcessCount[];
  dueMs: number;
}

const MAX_WAITING = 20_000;
/** Processes that ran before the agent are in pods that its first list has: agent/pods/decision-waiting.md. */
const LIST_WAIT_MS = 60_000;
const TICK_MS = 100;
const SWEEP_MS = 1_000;
const RECHECK_MS = 1_000;
const W_HOOK_ID = HOOK.hook_id >> 2;

/** Turns records into events in stream order; events of one process keep their order whatever they wait for. */
export class EventPipeline implements RecordVisitor {
  readonly #deps: PipelineDeps;
  readonly #hooks: HookRegistry;
  readonly #outputs: Outputs;
  readonly #messages: Record<"exec" | "fork" | "exit" | "cgroup", Count>;
  readonly #podHold: PodHold;
  readonly #execHold: ExecHold;
  #hookEvent: ReusedHookEvent | undefined;
  #isStarted = false;
  /** Absent while nothing waits: a node on which nothing happens has no timer. */
  #timer: { handle: NodeJS.Timeout; delayMs: number } | undefined;
  #needsSweep = true;
  #nextSweepMs = 0;
  #nextRecheckMs = 0;
  /** The first is due first. */
  readonly #earlyCounts: EarlyCounts[] = [];
  #lostRecords: (() => number) | undefined;
  #knownLost = 0;
  /** Latest time of a batch's first record. */
  #streamMs = 0;

  constructor(deps: PipelineDeps) {
    this.#deps = deps;
    this.#hooks = new HookRegistry(deps.metrics);
    this.#outputs = new Outputs(deps.outputs);
    const { metrics, pods, processes } = deps;
    const { messages } = metrics;
    this.#messages = {
      exec: messages.of("exec"),
      fork: messages.of("fork"),
      exit: messages.of("exit"),
      cgroup: messages.of("cgroup"),
    };
    const nowMs = () => this.#nowMs();
    this.#podHold = new PodHold({
      pods,
      metrics,
      nowMs,
      waitMs: deps.podWaitMs ?? 5_000,
      listWaitMs: LIST_WAIT_MS,
      maxEvents: MAX_WAITING,
      write: (event) => this.#write(event),
    });
    this.#execHold = new ExecHold({
      processes,
      nowMs,
      waitMs: deps.execWaitMs ?? 500,
      maxRecords: MAX_WAITING,
      emit: ({ batch, hook }, image) => this.#emitHook(batch, 0, hook, image),
    });
    pods.onChange(() => this.#outputs.flush()); // after the hold's own listener
    metrics.waitingEvents = () => this.#podHold.count + this.#execHold.count;
  }

  /**
   * Ends waits in time from now on; without it, tick() must be called. `lostRecords`: how many records of processes are
   * known to be lost so far; whenever there are more, process images are compared with /proc.
   */
  start(lostRecords?: () => number): void {
    this.#isStarted = true;
    this.#lostRecords = lostRecords;
    this.#setTimer();
  }

  /** Writes out everything, waiting or not, and stops. The sinks stay open. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    this.#clearTimer();
    await this.flush();
  }

  /** The output gets events from the next one on; outputs with the same encoding have the same encoder. */
  addOutput(output: Output): void {
    this.#outputs.add(output);
  }

  /** Hands over what has been encoded for the output. May be called by its sink while it takes an event. */
  removeOutput(output: Output): void {
    this.#outputs.remove(output);
  }

  /** Records with this id are events of the policy from now on. */
  registerHook(id: number, info: HookInfo): void {
    this.#hooks.register(id, info);
  }

  /** Records of the hook from this time on (default: now) are left out; its id is forgotten when no record of it can come any more. */
  retireHook(id: number, untilKtimeNs?: bigint, handsOver?: HandOver): void {
    const until = untilKtimeNs ?? this.#deps.clock.bootTimeNs();
    this.#hooks.retire(id, until, this.#nowMs(), handsOver);
  }

  /** A process from the /proc scan: becomes an image and a process_exec unless a record has named it before. */
  addScanned(scanned: ScannedProcess): void {
    const image = this.#deps.processes.addScanned(scanned);
    if (image === undefined) return;
    const timeLow = Number(image.ktimeNs & 0xffffffffn);
    const timeHigh = Number(image.ktimeNs >> 32n);
    this.#emit({ kind: "exec", image, tid: image.pid, timeLow, timeHigh });
    this.#setTimer();
  }

  /**
   * What hooks in the mode count have counted of their processes in the last seconds. Counts are read past the ring: those
   * of an exec whose record has not arrived wait for it, about a second.
   */
  addCounts(counts: readonly ProcessCount[]): void {
    const early: ProcessCount[] = [];
    for (const count of counts) {
      if (this.#deps.processes.hasSeen(count.pid, count.seq)) this.#attribute(count);
      else early.push(count);
    }
    if (early.length === 0) return;
    this.#earlyCounts.push({ counts: early, dueMs: this.#nowMs() + SWEEP_MS });
    this.#needsSweep = true;
    this.#setTimer();
  }

  #attributeEarly(nowMs: number): void {
    const waiting = this.#earlyCounts.findIndex(({ dueMs }) => dueMs > nowMs);
    const due = this.#earlyCounts.splice(0, waiting < 0 ? this.#earlyCounts.length : waiting);
    for (const count of due.flatMap(({ counts }) => counts)) this.#attribute(count);
  }

  #attribute({ hookId, pid, seq, count }: ProcessCount): void {
    const image = this.#deps.processes.atExec(pid, seq);
    const counted = this.#hooks.get(hookId)?.counted;
    if (image) counted?.add(image, count);
    else counted?.addUnknown(count);
  }

  /** All records of one batch of the ring reader; what is ready is written before it returns. Keeps nothing of the buffer. */
  handleBatch(buffer: ArrayBuffer, size = buffer.byteLength): void {
    const { metrics } = this.#deps;
    metrics.batches++;
    metrics.ringBytes += size;
    const batch = new RecordBatch(buffer, size);
    this.#advance(batch);
    decodeBatch(batch, this);
    this.#outputs.flush();
    this.#needsSweep = true;
    this.#setTimer();
  }

  /** Writes out everything, waiting or not. */
  async flush(): Promise<void> {
    this.#execHold.releaseAll();
    this.#podHold.releaseAll();
    this.#attributeEarly(Number.POSITIVE_INFINITY);
    await this.#outputs.drain();
  }

  /** Ends waits that are over; once a second also forgets what is no longer needed. */
  tick(): void {
    const nowMs = this.#nowMs();
    this.#execHold.tick();
    this.#podHold.tick();
    this.#outputs.flush();
    if (nowMs < this.#nextSweepMs) return;
    this.#nextSweepMs = nowMs + SWEEP_MS;
    this.#attributeEarly(nowMs);
    this.#hooks.sweep(this.#streamMs);
    const isLossy = this.#hasLostRecords();
    if (isLossy) this.#deps.workloads?.reread();
    const isSweepLeft = this.#deps.processes.sweep(isLossy);
    this.#needsSweep = isSweepLeft || this.#earlyCounts.length > 0;
  }

  /** Time goes on with the records: nothing has to look at the clock while there are none. */
  #advance(batch: RecordBatch): void {
    const { clock, processes } = this.#deps;
    const nowMs = this.#nowMs();
    const firstNs = startNs(batch);
    this.#streamMs = Math.max(this.#streamMs, Number(firstNs / 1_000_000n));
    processes.advance(nowMs);
    if (nowMs < this.#nextRecheckMs) return;
    this.#nextRecheckMs = nowMs + RECHECK_MS;
    clock.recheck(firstNs);
  }

  #hasLostRecords(): boolean {
    const before = this.#knownLost;
    this.#knownLost = this.#lostRecords?.() ?? 0;
    return this.#knownLost > before;
  }

  /** One timer, for the deadline that comes first; none where there is none. */
  #setTimer(): void {
    if (!this.#isStarted) return;
    const isHolding = this.#podHold.count + this.#execHold.count > 0;
    if (!isHolding && !this.#needsSweep) return;
    const delayMs = isHolding ? TICK_MS : SWEEP_MS;
    if (this.#timer !== undefined && this.#timer.delayMs <= delayMs) return;
    this.#clearTimer();
    const onTimer = () => {
      this.#timer = undefined;
      this.tick();
      this.#setTimer();
    };
    this.#timer = { handle: setTimeout(onTimer, delayMs).unref(), delayMs };
  }

  #clearTimer(): void {
    clearTimeout(this.#timer?.handle);
    this.#timer = undefined;
  }

  hook(batch: RecordBatch, at: number): void {
    const { words } = batch;
    const hook = this.#hooks.get(words[at + W_HOOK_ID] as number);
    if (hook === undefined) {
      this.#deps.metrics.unknownHookRecords++;
      return;
    }
    if (hook.records !== undefined) hook.records.count++;
    if (hook.bounded && !countsRecord(hook, batch, at)) {
      this.#deps.metrics.outOfWindowRecords++;
      return;
    }
    const image = this.#deps.processes.find(
      words[at + W_PID] as number,
      words[at + W_START] as number,
      words[at + W_START + 1] as number,
      words[at + W_SEQ] as number,
    );
    if (image === undefined) this.#hookOfUnknown(batch, at, hook);
    else this.#emitHook(batch, at, hook, image);
  }

  exec(batch: RecordBatch, at: number): void {
    this.#messages.exec.count++;
    const record = decodeExec(batch, at);
    this.#execHold.done(record.pid, record.execSeq);
    const image = this.#deps.processes.exec(record);
    const timeLow = batch.words[at + W_KTIME] as number;
    const timeHigh = batch.words[at + W_KTIME + 1] as number;
    this.#emit({ kind: "exec", image, tid: record.tid, timeLow, timeHigh });
  }

  fork(batch: RecordBatch, at: number): void {
    this.#messages.fork.count++;
    const word = (offset: number) => batch.words[at + (offset >> 2)] as number;
    const identity = readIdentity(batch, at);
    const creatorPid = word(FORK.creator_pid);
    this.#execHold.forked(creatorPid, identity.seq);
    this.#execHold.lost(identity.pid);
    const child = this.#deps.processes.fork({
      ...identity,
      nspid: word(FORK.nspid),
      parentPid: word(FORK.parent_pid),
      parentStartLow: word(FORK.parent_start_ns),
      parentStartHigh: word(FORK.parent_start_ns + 4),
      creatorPid,
    });
    this.#deps.currentCredentials?.seen(child, batch, at);
  }

  exit(batch: RecordBatch, at: number): void {
    this.#messages.exit.count++;
    const { processes } = this.#deps;
    const identity = readIdentity(batch, at);
    const code = batch.words[at + (EXIT.code >> 2)] as number;
    // an exec that fails beyond the point of no return ends in a signal and never has a record
    const isKilled = (code & 0x7f) !== 0;
    if (isKilled) this.#execHold.done(identity.pid, identity.seq);
    else this.#execHold.lost(identity.pid);
    const known = processes.find(identity.pid, identity.startLow, identity.startHigh, identity.seq);
    const image =
      known ?? (isKilled ? processes.executing(identity) : undefined) ?? processes.resolve(identity);
    const timeLow = batch.words[at + W_KTIME] as number;
    const timeHigh = batch.words[at + W_KTIME + 1] as number;
    this.#deps.currentCredentials?.seen(image, batch, at);
    this.#emit({ kind: "exit", image, tid: batch.words[at + W_TID] as number, timeLow, timeHigh, code });
    processes.end(image);
  }

  cgroup(batch: RecordBatch, at: number): void {
    this.#messages.cgroup.count++;
    this.#deps.workloads?.handle(decodeCgroup(batch, at));
  }

  malformed(): void {
    this.#deps.metrics.malformedRecords++;
  }

  /** A record from within an exec, or of an image that no record has introduced. */
  #hookOfUnknown(batch: RecordBatch, at: number, hook: HookEntry): void {
    const { processes, metrics } = this.#deps;
    const identity = readIdentity(batch, at);
    if (processes.executing(identity) !== undefined) {
      if (this.#execHold.hold({ batch: copyRecord(batch, at), hook, identity })) return;
      metrics.waitOverflows++;
    }
    this.#execHold.lost(identity.pid);
    this.#emitHook(batch, at, hook, processes.resolve(identity));
  }

  #emitHook(batch: RecordBatch, at: number, hook: HookEntry, image: Image): void {
    if (!this.#podHold.isReady(image)) {
      this.#podHold.hold({ kind: "hook", batch: copyRecord(batch, at), at: 0, image, hook });
      return;
    }
    this.#hookEvent ??= { kind: "hook", batch, at, image, hook };
    const event = this.#hookEvent;
    event.batch = batch;
    event.at = at;
    event.image = image;
    event.hook = hook;
    this.#writeHook(event);
  }

  #emit(event: Event): void {
    if (this.#podHold.isReady(event.image)) this.#write(event);
    else this.#podHold.hold(event);
  }

  #write(event: Event): void {
    if (event.kind === "hook") {
      this.#writeHook(event);
      return;
    }
    this.#outputs.write(event);
    const { metrics } = this.#deps;
    if (event.kind === "exec") metrics.flags.add(event.image.facts.flags);
    metrics.ofType(event.kind === "exec" ? "PROCESS_EXEC" : "PROCESS_EXIT").add(event.image);
  }

  #writeHook(event: HookEvent & { hook: HookEntry }): void {
    const { image, batch, at, hook } = event;
    const { currentCredentials } = this.#deps;
    if (this.#isOutOfScope(event)) {
      this.#deps.metrics.outOfScopeRecords++;
      return;
    }
    currentCredentials?.seen(image, batch, at);
    this.#outputs.write(event);
    currentCredentials?.done(image, batch, at, hook);
    hook.events.add(image);
    hook.typeEvents.add(image);
    hook.syscalls?.add(recordSyscall(batch.words, at), image);
  }

  #isOutOfScope({ hook, batch: { words }, at, image }: HookEvent): boolean {
    if (!(recordFlags(words, at) & RECORD_SCOPE_UNDECIDED)) return false;
    const { workloads, metrics } = this.#deps;
    metrics.undecidedRecords++;
    return workloads?.excludes(hook.def, recordSelector(words, at), image.facts.container) ?? false;
  }

  #nowMs(): number {
    return Number(this.#deps.clock.bootTimeNs() / 1_000_000n);
  }
}

/** When the first record of a batch was written. */
function startNs({ words }: RecordBatch): bigint {
  const [low = 0, high = 0] = words.subarray(W_KTIME, W_KTIME + 2);
  return joinWords(low, high);
}

/** Used again for each record that is written at once: outputs keep nothing of an event. */
type ReusedHookEvent = { -readonly [Field in keyof HookEvent]: HookEvent[Field] } & { hook: HookEntry };

/** The process and image that a record is about. */
function readIdentity({ words }: RecordBatch, at: number): RecordIdentity {
  return {
    pid: words[at + W_PID] as number,
    startLow: words[at + W_START] as number,
    startHigh: words[at + W_START + 1] as number,
    seq: words[at + W_SEQ] as number,
    ktimeNs: joinWords(words[at + W_KTIME] as number, words[at + W_KTIME + 1] as number),
    uid: words[at + W_UID] as number,
  };
}

/** Waiting records must not keep their whole batch. */
function copyRecord(batch: RecordBatch, at: number): RecordBatch {
  const end = at + ((batch.words[at + W_SIZE] as number) >>> 2);
  return new RecordBatch(batch.words.slice(at, end).buffer as ArrayBuffer);
}
