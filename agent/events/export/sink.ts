/** Where encoded events go. */

import type { ExportStats } from "../../metrics/export-stats.ts";
import type { HookLosses } from "../../metrics/losses.ts";

/** Counts of a sink before its first write. */
export function noExports(): ExportStats {
  return {
    events: 0,
    bytes: 0,
    overflowedEvents: 0,
    failedEvents: 0,
    errors: 0,
    rotationErrors: 0,
    lastExportSeconds: 0,
  };
}

/** A destination of events. Never throws, never waits, never holds more than a bounded amount of memory. */
export interface EventSink {
  readonly stats: Readonly<ExportStats>;
  /**
   * Whole lines; the chunk belongs to the sink from now on, or until it passes it to `release`. `losses`: what to count
   * by hook where they are lost.
   */
  write(
    chunk: Uint8Array,
    events: number,
    losses?: readonly HookLosses[],
    release?: (chunk: Uint8Array) => void,
  ): void;
  /**
   * Resolves once the queue has drained below half. A producer that can hold its input until then loses fewer events.
   * Undefined when there is room, or when the destination takes nothing at all.
   */
  room(): Promise<void> | undefined;
  /** Resolves when everything written before has gone out or is lost. */
  flush(): Promise<void>;
  /** flush(), then closes the destination. */
  close(): Promise<void>;
}
