/** What outputs ask of an encoder. */
import type { ByteWriter } from "./byte-writer.ts";
import type { ExecEvent, ExitEvent, HookEvent } from "./event.ts";

/** Appends one event per call; never throws on what a record contains. */
export interface EventEncoder {
  hook(out: ByteWriter, event: HookEvent): void;
  exec(out: ByteWriter, event: ExecEvent): void;
  exit(out: ByteWriter, event: ExitEvent): void;
}
