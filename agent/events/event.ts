/** Events as outputs get them: a record and the process image and hook that it belongs to. */
import type { HookDef } from "../../crds/hook-spec.ts";
import type { PolicyRef } from "../../crds/names.ts";
import type { EventType } from "../metrics/event-metrics.ts";
import type { HookLosses } from "../metrics/losses.ts";
import type { Image } from "../process/image.ts";
import type { RecordBatch } from "../records/decode.ts";
import type { Encoded } from "../records/encoded.ts";

/** A hook whose id records carry. */
export interface RegisteredHook {
  readonly id: number;
  readonly policy: PolicyRef;
  readonly def: HookDef;
  readonly functionName: string;
  readonly type: EventType;
  /** How many slots of a record are arguments; the others are data. */
  readonly argCount: number;
  readonly encoded: Encoded;
  /** What outputs count the loss of its events by; one element. */
  readonly losses: readonly HookLosses[];
  /** Its records are differences from what the kernel gave a task; `functionName` is where one was noticed. */
  readonly isDrift?: boolean;
}

/** A hook record and what it belongs to. Encoders and filters read the record in place. */
export interface HookEvent {
  readonly kind: "hook";
  readonly batch: RecordBatch;
  /** Word index of the record. */
  readonly at: number;
  readonly image: Image;
  readonly hook: RegisteredHook;
}

/** A process has executed a file; the boot time as two 32-bit words. */
export interface ExecEvent {
  readonly kind: "exec";
  readonly image: Image;
  readonly tid: number;
  readonly timeLow: number;
  readonly timeHigh: number;
}

/** A process has ended. */
export interface ExitEvent extends Omit<ExecEvent, "kind"> {
  readonly kind: "exit";
  /** Wait status. */
  readonly code: number;
}

/** Any event. */
export type OutputEvent = HookEvent | ExecEvent | ExitEvent;
