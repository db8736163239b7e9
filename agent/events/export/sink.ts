/** Where encoded events go. */

import type { ExportStats } from "../../metrics/export-stats.ts";

/** Of a sink that was given nothing yet. */
export function noExports(): ExportStats {
  return { events: 0, bytes: 0, overflowedEvents: 0, failedEvents: 0, errors: 0, lastExportSeconds: 0 };
}

/** A destination of events. Never throws, never waits, never holds more than a bounded amount of memory. */
export interface EventSink {
  readonly stats: Readonly<ExportStats>;
  /** Whole lines; the chunk belongs to the sink from now on. */
  write(chunk: Uint8Array, events: number): void;
  /**
   * Pending while much waits and goes out: whoever can keep what makes events until then, loses fewer of them. Undefined
   * where there is room, or where nothing goes out at all.
   */
  room(): Promise<void> | undefined;
  /** Resolves when everything written before has gone out or is lost. */
  flush(): Promise<void>;
  /** flush() and let the destination go. */
  close(): Promise<void>;
}
