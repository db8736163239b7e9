/** Remote calls about the file that events are exported to. */
import { status } from "@grpc/grpc-js";
import type { Rotation } from "../events/export/rotation.ts";
import type { Request, UnaryHandler } from "./service.ts";
import { CallError } from "./status.ts";

/** The export file. */
export interface EventLog {
  readonly rotation: Readonly<Rotation> | undefined;
  changeRotation(change: Partial<Rotation>): void;
}

const MEGABYTE = 1 << 20;
const UNITS_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** By the names of the calls. `log` is undefined where events are not exported to a file. */
export function eventLogCalls(log: EventLog | undefined): Record<string, UnaryHandler> {
  return {
    GetEventLogParams: () => paramsOf(rotationOf(log)),
    SetEventLogParams: (request) => {
      rotationOf(log);
      log?.changeRotation(readChange(request));
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
  const seconds = intervalMs / 1_000;
  return {
    max_size: Math.round(maxBytes / MEGABYTE),
    rotation_interval: `${seconds}s`,
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

/** As Go writes durations: 1h30m, 90s, 0. */
function readDuration(text: string): number {
  if (text === "0") return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)];
  if (text !== "" && parts.map(([part]) => part).join("") === text) {
    return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS_MS[unit ?? ""] ?? 0), 0);
  }
  throw new CallError(
    status.INVALID_ARGUMENT,
    `rotation_interval: "${text}" is no duration, for example 1h30m`,
  );
}
