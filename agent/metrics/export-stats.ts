/** Counts of an export. */

/** What became of the events that a sink was given, since the start. */
export interface ExportStats {
  events: number;
  bytes: number;
  /** Events without room in the queue, because the destination was too slow. */
  overflowedEvents: number;
  /** Events that the destination refused: a full disk, a closed pipe. */
  failedEvents: number;
  /** Refused writes. */
  errors: number;
  /** Steps of a rotation that failed. */
  rotationErrors: number;
  /** Seconds since the epoch of the last event that went out; 0 before the first. */
  lastExportSeconds: number;
}
