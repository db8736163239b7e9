/** Upstream's EventType: the number is that of the event's field in GetEventsResponse. */
export const EVENT_TYPES: ReadonlyMap<number, string> = new Map([
  [1, "PROCESS_EXEC"],
  [5, "PROCESS_EXIT"],
  [9, "PROCESS_KPROBE"],
  [10, "PROCESS_TRACEPOINT"],
  [11, "PROCESS_LOADER"],
  [12, "PROCESS_UPROBE"],
  [27, "PROCESS_THROTTLE"],
  [28, "PROCESS_LSM"],
  [29, "PROCESS_USDT"],
  [20_000, "CREDENTIAL_DRIFT"],
  [40_000, "TEST"],
  [40_001, "RATE_LIMIT_INFO"],
]);

/** Name of the field in GetEventsResponse. */
export function eventFieldOf(type: string): string {
  return type.toLowerCase();
}
