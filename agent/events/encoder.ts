/** What every encoder of events offers to the pipeline; JSON lines are one, protobuf can be another. */
import type { HookDef } from "../../crds/hook-spec.ts";
import type { PolicyRef } from "../../crds/names.ts";
import type { Image } from "../process/image.ts";
import type { RecordBatch } from "../records/decode.ts";
import type { ByteWriter } from "./byte-writer.ts";
import type { HookFragments } from "./json/hooks.ts";

/** A hook whose id records carry. Encoders hang their constant bytes on it. */
export interface RegisteredHook {
  readonly id: number;
  readonly policy: PolicyRef;
  readonly def: HookDef;
  readonly functionName: string;
  json: HookFragments | undefined;
}

/** A hook record and what it belongs to. Encoders read the record in place. */
export interface HookEvent {
  batch: RecordBatch;
  /** Word index of the record. */
  at: number;
  image: Image;
  hook: RegisteredHook;
}

/** A process event; the boot time as two words. */
export interface ProcessEvent {
  image: Image;
  tid: number;
  timeLow: number;
  timeHigh: number;
}

/** A process event with the wait status of the process. */
export interface ExitEvent extends ProcessEvent {
  code: number;
}

/** Appends one event per call; never throws on what a record contains. */
export interface EventEncoder {
  hook(out: ByteWriter, event: HookEvent): void;
  exec(out: ByteWriter, event: ProcessEvent): void;
  exit(out: ByteWriter, event: ExitEvent): void;
}
