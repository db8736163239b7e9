/** Remote calls about the agent itself: version, health, log level, process cache. */
import { status } from "@grpc/grpc-js";
import type { HealthChecks } from "../../lib/health.ts";
import type { Logger } from "../../lib/logger.ts";
import { type ProcessFieldOptions, processFields } from "../events/process-fields.ts";
import type { Image } from "../process/image.ts";
import { problems } from "./health.ts";
import type { Request, UnaryHandler } from "./service.ts";
import { CallError } from "./status.ts";

/** What the calls need. */
export interface AgentCallsDeps {
  version: string;
  logger: Logger;
  checks: HealthChecks;
  /** Features of the kernel. */
  features(): Readonly<Record<string, boolean>>;
  /** Settings by the names of their flags. */
  settings: Readonly<Record<string, string>>;
  processes(): Iterable<Image>;
  processFields: ProcessFieldOptions;
}

/** By the names of the calls. */
export function agentCalls(deps: AgentCallsDeps): Record<string, UnaryHandler> {
  return {
    GetVersion: () => ({ version: deps.version }),
    GetInfo: () => info(deps),
    GetHealth: ({ event_set = [] }) => ({ health_status: health(deps, event_set as string[]) }),
    GetDebug: (request) => getDebug(deps, request),
    SetDebug: (request) => setDebug(deps, request),
    RuntimeHook: () => ({}), // containers are known from their cgroups and from the API server
    ...deprecated("ListSensors", "EnableSensor", "DisableSensor", "RemoveSensor"),
    ...deprecated("EnableTracingPolicy", "DisableTracingPolicy"),
  };
}

function deprecated(...names: string[]): Record<string, UnaryHandler> {
  const refuse = (name: string) => () => {
    throw new CallError(status.UNKNOWN, `${name} is deprecated`);
  };
  return Object.fromEntries(names.map((name) => [name, refuse(name)]));
}

function info({ version, features, settings }: AgentCallsDeps): object {
  return {
    version,
    name: "trigon",
    probes: Object.entries(features()).map(([Name, Enabled]) => ({ Name, Enabled })),
    conf: Object.entries(settings).map(([key, value]) => ({
      key,
      value: { "@type": "type.googleapis.com/google.protobuf.StringValue", value },
    })),
  };
}

/** One problem is enough to be in error; the details name all. */
function health({ checks }: AgentCallsDeps, asked: readonly string[]): object[] {
  if (asked.length > 0 && !asked.includes("HEALTH_STATUS_TYPE_STATUS")) return [];
  const details = problems({ ...checks.live, ...checks.ready }).join("; ") || "running";
  const result = details === "running" ? "HEALTH_STATUS_RUNNING" : "HEALTH_STATUS_ERROR";
  return [{ event: "HEALTH_STATUS_TYPE_STATUS", status: result, details }];
}

const LEVELS: Readonly<Record<string, string>> = {
  LOG_LEVEL_PANIC: "error",
  LOG_LEVEL_FATAL: "error",
  LOG_LEVEL_ERROR: "error",
  LOG_LEVEL_WARN: "warn",
  LOG_LEVEL_INFO: "info",
  LOG_LEVEL_DEBUG: "debug",
  LOG_LEVEL_TRACE: "debug",
};
const LEVEL_NAMES: Readonly<Record<string, string>> = {
  error: "LOG_LEVEL_ERROR",
  warn: "LOG_LEVEL_WARN",
  info: "LOG_LEVEL_INFO",
  debug: "LOG_LEVEL_DEBUG",
};
const LOG_LEVEL = "CONFIG_FLAG_LOG_LEVEL";
const PROCESS_CACHE = "CONFIG_FLAG_DUMP_PROCESS_CACHE";

function getDebug(deps: AgentCallsDeps, { flag = LOG_LEVEL, dump }: Request): object {
  if (flag === LOG_LEVEL) return { flag, level: LEVEL_NAMES[deps.logger.level] };
  if (flag !== PROCESS_CACHE) throw new CallError(status.INVALID_ARGUMENT, `flag: ${flag} is not known`);
  const images = [...deps.processes()].filter(dumpFilter(dump));
  return { flag, processes: { processes: images.map((image) => dumpProcess(image, deps.processFields)) } };
}

/** The kernel's table of processes has those that run: without them, those that have ended are left. */
function dumpFilter(dump: unknown): (image: Image) => boolean {
  const { skip_zero_refcnt: skipsEnded, exclude_execve_map_processes: skipsRunning } = (dump ?? {}) as Dump;
  return ({ ended }) => !(ended ? skipsEnded : skipsRunning);
}

interface Dump {
  skip_zero_refcnt?: boolean;
  exclude_execve_map_processes?: boolean;
}

/** A process that runs counts as one reference. */
function dumpProcess(image: Image, options: ProcessFieldOptions): object {
  const refcnt = image.ended ? 0 : 1;
  const process = { ...defined(processFields(image, options)), refcnt, tid: image.pid };
  return { process, color: image.ended ? "deletePending" : "inUse", refcnt };
}

/** JSON without the fields that are undefined. */
function defined(fields: object): object {
  return JSON.parse(JSON.stringify(fields)) as object;
}

/** A level that is not given is number 0, PANIC, as protobuf has it. */
function setDebug(deps: AgentCallsDeps, { flag = LOG_LEVEL, level = "LOG_LEVEL_PANIC" }: Request): object {
  const wanted = LEVELS[String(level)];
  if (flag !== LOG_LEVEL) throw new CallError(status.INVALID_ARGUMENT, `flag: ${flag} cannot be set`);
  if (wanted === undefined) throw new CallError(status.INVALID_ARGUMENT, `level: ${level} is not known`);
  deps.logger.warn(`gRPC: a client sets the log level to ${wanted}`);
  deps.logger.level = wanted;
  return { flag, level };
}
