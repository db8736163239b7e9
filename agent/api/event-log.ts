/** Remote calls about the file that events are exported to. */
import { status } from "@grpc/grpc-js";
import type { Request, UnaryHandler } from "./service.ts";
import { CallError } from "./status.ts";

/** How the file is rotated. */
export interface EventLogParams {
  /** Megabytes. */
  max_size: number;
  /** As Go writes durations: 1h30m; 0s: never. */
  rotation_interval: string;
  max_backups: number;
}

/** Absent: events are not exported to a file that is rotated. */
export interface EventLogDeps {
  get?(): EventLogParams;
  set?(change: Partial<EventLogParams>): void;
}

/** By the names of the calls. */
export function eventLogCalls({ get, set }: EventLogDeps): Record<string, UnaryHandler> {
  return {
    GetEventLogParams: () => (get ?? refuse)(),
    SetEventLogParams: (request) => {
      (set ?? refuse)(request as Partial<EventLogParams> & Request);
      return {};
    },
  };
}

function refuse(): never {
  throw new CallError(
    status.FAILED_PRECONDITION,
    "events are not exported to a file that this agent rotates",
  );
}
