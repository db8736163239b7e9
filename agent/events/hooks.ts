/** Hooks whose records may arrive, each with the time in which its records count. */
import type { HookDef } from "../../crds/hook-spec.ts";
import type { PolicyRef } from "../../crds/names.ts";
import { seesEverySyscall } from "../../crds/syscall-abis.ts";
import { type EventMetrics, eventType, hookLabel } from "../metrics/event-metrics.ts";
import { type Count, hookMessage } from "../metrics/messages.ts";
import type { SeriesCounter } from "../metrics/series.ts";
import type { SyscallSeries } from "../metrics/syscall-series.ts";
import { type RecordBatch, W_KTIME, W_TID } from "../records/decode.ts";
import { noneEncoded } from "../records/encoded.ts";
import { argumentCount } from "../records/hook-record.ts";
import { DRIFT_AT_COMMIT, DRIFT_AT_EXIT, DRIFT_AT_FORK, DRIFT_OF_HOOK } from "../records/layout.ts";
import type { RegisteredHook } from "./event.ts";
import type { HandOver } from "./hand-over.ts";

/** What the pipeline needs to know about an attached hook. */
export interface HookInfo {
  policy: PolicyRef;
  def: HookDef;
  functionName: string;
  /** Earlier records belong to the hook that this one replaces. */
  fromKtimeNs?: bigint;
  /** The same object as that hook's `handsOver`. */
  takesOver?: HandOver | undefined;
}

/** A registered hook with its counters and its time window; times as two 32-bit words. */
export interface HookEntry extends RegisteredHook {
  readonly events: SeriesCounter;
  /** What it counted in the mode count, instead of posting it. */
  readonly counted: SeriesCounter;
  readonly typeEvents: SeriesCounter;
  /** Records that were read; absent for drift, of which Tetragon has no message. */
  readonly records: Count | undefined;
  /** Absent: the hook does not see every system call. */
  readonly syscalls: SyscallSeries | undefined;
  /** False: every record counts. */
  bounded: boolean;
  fromLow: number;
  fromHigh: number;
  untilLow: number;
  untilHigh: number;
  /** The hook is forgotten when the stream reaches this time. */
  forgetAtMs: number;
  takesOver: HandOver | undefined;
  handsOver: HandOver | undefined;
}

/**
 * How long a retired hook stays registered, measured in the time of the records, which can wait long to be read. A record
 * that is posted when a call returns has the time of the call's entry.
 */
const GRACE_MS = 30_000;
const FOREVER = 0xffff_ffff;

/** Where the sensors notice drift, by the ids of their records. */
const SENSOR_PLACES: Readonly<Record<number, string>> = {
  [DRIFT_AT_COMMIT]: "commit_creds",
  [DRIFT_AT_FORK]: "fork",
  [DRIFT_AT_EXIT]: "exit",
};

/** The part of a definition that a drift record has: none. */
const DRIFT_DEF: HookDef = {
  path: "",
  section: "kprobes",
  call: "",
  syscall: false,
  ignoreCallNotFound: false,
  args: [],
  selectors: [],
};

/** Hook ids to hooks. */
export class HookRegistry {
  readonly #entries = new Map<number, HookEntry>();
  readonly #metrics: EventMetrics;

  constructor(metrics: EventMetrics) {
    this.#metrics = metrics;
  }

  get(id: number): HookEntry | undefined {
    return this.#entries.get(id) ?? this.#driftEntry(id);
  }

  /** Drift that a sensor or a registered hook has noticed; made when the first record of it arrives. */
  #driftEntry(id: number): HookEntry | undefined {
    const hook = this.#entries.get(id & ~DRIFT_OF_HOOK);
    const functionName = SENSOR_PLACES[id] ?? (id >= DRIFT_OF_HOOK ? hook?.functionName : undefined);
    if (functionName === undefined) return undefined;
    const def = { ...DRIFT_DEF, call: functionName };
    const policy = hook?.policy ?? { kind: "TracingPolicy", name: "" };
    const { forgetAtMs = Number.POSITIVE_INFINITY } = hook ?? {};
    const entry = { ...this.#makeEntry(id, { policy, functionName, def }), isDrift: true, forgetAtMs };
    this.#entries.set(id, entry);
    return entry;
  }

  register(id: number, info: HookInfo): void {
    this.#entries.set(id, this.#makeEntry(id, info));
  }

  #makeEntry(id: number, info: HookInfo): HookEntry {
    const { policy, def, functionName, fromKtimeNs, takesOver } = info;
    const type = id >= DRIFT_OF_HOOK ? "CREDENTIAL_DRIFT" : eventType(def.section);
    return {
      id,
      policy,
      def,
      functionName,
      type,
      argCount: argumentCount(def),
      encoded: noneEncoded(),
      losses: [this.#metrics.lossesOf(policy, hookLabel(info))],
      events: this.#metrics.ofHook(policy, hookLabel(info)),
      counted: this.#metrics.countedBy(policy, hookLabel(info)),
      typeEvents: this.#metrics.ofType(type),
      records: type === "CREDENTIAL_DRIFT" ? undefined : this.#metrics.messages.of(hookMessage(def.section)),
      syscalls: seesEverySyscall(def) ? this.#metrics.syscalls : undefined,
      bounded: fromKtimeNs !== undefined,
      fromLow: Number((fromKtimeNs ?? 0n) & 0xffffffffn),
      fromHigh: Number((fromKtimeNs ?? 0n) >> 32n),
      untilLow: FOREVER,
      untilHigh: FOREVER,
      forgetAtMs: Number.POSITIVE_INFINITY,
      takesOver,
      handsOver: undefined,
    };
  }

  /** Records from this time on no longer count, except those that a hand-over leaves to this hook. */
  retire(id: number, untilKtimeNs: bigint, nowMs: number, handsOver?: HandOver): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.bounded = true;
    entry.untilLow = Number(untilKtimeNs & 0xffffffffn);
    entry.untilHigh = Number(untilKtimeNs >> 32n);
    entry.forgetAtMs = nowMs + GRACE_MS;
    entry.handsOver = handsOver;
    const drift = this.#entries.get(id | DRIFT_OF_HOOK);
    if (drift) drift.forgetAtMs = nowMs + GRACE_MS;
  }

  /** Forgets hooks that have no more records to come, now that the stream has reached this time. */
  sweep(streamMs: number): void {
    for (const entry of this.#entries.values()) {
      if (entry.forgetAtMs <= streamMs) this.#entries.delete(entry.id);
    }
  }
}

/** Whether a record counts: from <= its time < until, unless a hand-over decides. To be called once per record, in stream order. */
export function countsRecord(entry: HookEntry, { words }: RecordBatch, at: number): boolean {
  const { fromLow, fromHigh, untilLow, untilHigh, takesOver, handsOver } = entry;
  const low = words[at + W_KTIME] as number;
  const high = words[at + W_KTIME + 1] as number;
  const tid = words[at + W_TID] as number;
  const isAfter = high > fromHigh || (high === fromHigh && low >= fromLow);
  const isBefore = high < untilHigh || (high === untilHigh && low < untilLow);
  if (!(takesOver ? takesOver.admitsNew(tid, isAfter) : isAfter)) return false;
  return handsOver ? handsOver.admitsOld(tid, isBefore) : isBefore;
}
