/** Remote calls about the file that events are exported to. */
import { status } from "@grpc/grpc-js";
import { goDurationText, parseGoDuration } from "../../lib/go-duration.ts";
import type { Logger } from "../../lib/logger.ts";
import type { Rotation } from "../events/export/rotation.ts";
import type { Request, UnaryHandler } from "./service.ts";
import { CallError } from "./status.ts";

/** The export file. */
export interface EventLog {
  readonly rotation: Readonly<Rotation> | undefined;
  changeRotation(change: Partial<Rotation>): void;
}

const MEGABYTE = 1 << 20;

/** By the names of the calls. `log` is undefined where events are not exported to a file. Each change is logged. */
export function eventLogCalls(log: EventLog | undefined, logger: Logger): Record<string, UnaryHandler> {
  return {
    GetEventLogParams: () => paramsOf(rotationOf(log)),
    SetEventLogParams: (request) => {
      rotationOf(log);
      log?.changeRotation(readChange(request));
      logger.info("gRPC: a client has changed the export file's rotation", paramsOf(rotationOf(log)));
      return {};
    },
  };
}

function rotationOf(log: EventLog | undefined): Readonly<Rotation> {
  if (log?.rotation) return log.rotation;
  throw new CallError(
    status.FAILED_PRECONDITION,
    "events are not exported to a file that this agent rotates",
  );
}

function paramsOf({ maxBytes, intervalMs, maxBackups }: Readonly<Rotation>): object {
  return {
    max_size: Math.round(maxBytes / MEGABYTE),
    rotation_interval: goDurationText(intervalMs),
    max_backups: maxBackups,
  };
}

/** Fields that are not in the request stay as they are. */
function readChange({ max_size, rotation_interval, max_backups }: Request): Partial<Rotation> {
  return {
    ...(max_size !== undefined && { maxBytes: readCount("max_size", max_size) * MEGABYTE }),
    ...(rotation_interval !== undefined && { intervalMs: readDuration(String(rotation_interval)) }),
    ...(max_backups !== undefined && { maxBackups: readCount("max_backups", max_backups) }),
  };
}

function readCount(name: string, value: unknown): number {
  if (Number(value) >= 0) return Number(value);
  throw new CallError(status.INVALID_ARGUMENT, `${name}: ${value} is negative`);
}

function readDuration(text: string): number {
  const ms = parseGoDuration(text);
  if (ms !== undefined) return ms;
  throw new CallError(
    status.INVALID_ARGUMENT,
    `rotation_interval: "${text}" is no duration, for example 1h30m`,
  );
}
