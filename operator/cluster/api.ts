/** The operator's requests to the API server, by @kubernetes/client-node. */
import {
  type ApiException,
  CoordinationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  createConfiguration,
  type HttpLibrary,
  HttpMethod,
  type KubeConfig,
  PatchStrategy,
  type RequestContext,
  type ResponseContext,
  ServerConfiguration,
  setHeaderOptions,
  Watch,
} from "@kubernetes/client-node";
import { hasStatus, KubeError, parseStatus, withRetryAfter } from "../../lib/kube-error.ts";
import { startDeadline } from "../../lib/silence.ts";
import { NotLeadingError } from "./leadership.ts";

/** How requests leave the process; tests have their own. */
export interface Connection {
  config: KubeConfig;
  userAgent: string;
  /** How long this process may still write; absent: for ever. */
  mayWriteMs?: () => number;
  http?: HttpLibrary;
  watch?: Pick<Watch, "watch">;
}

/** The typed APIs. Their requests reject with KubeError when they go through `request()`. */
export interface Apis {
  core: CoreV1Api;
  coordination: CoordinationV1Api;
  custom: CustomObjectsApi;
  watch: Pick<Watch, "watch">;
}

/** For patches, which client-node sends as strategic merge patches otherwise: custom resources refuse those. */
export const MERGE_PATCH = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);
export const JSON_PATCH = setHeaderOptions("Content-Type", PatchStrategy.JsonPatch);

const REQUEST_TIMEOUT_MS = 30_000;
const CONNECTIONS_MS = 5 * 60_000;
/** The longest watch and some time: silence is judged by lib/watch-stream.ts, which knows when bookmarks come. */
const WATCH_TIMEOUT_MS = 15 * 60_000;

/** Makes the APIs for the current context of the configuration. */
export function makeApis({ config, userAgent, mayWriteMs, http, watch }: Connection): Apis {
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error("the kubeconfig has no current context with a cluster");
  const reuse = reuseConnections();
  const pre = (context: RequestContext) => {
    reuse(context);
    return prepare(context, userAgent, mayWriteMs);
  };
  const configuration = createConfiguration({
    baseServer: new ServerConfiguration(cluster.server, {}),
    authMethods: { default: config },
    promiseMiddleware: [{ pre, post: passOn }],
    ...(http && { httpApi: http }),
  });
  return {
    core: new CoreV1Api(configuration),
    coordination: new CoordinationV1Api(configuration),
    custom: new CustomObjectsApi(configuration),
    watch: watch ?? patientWatch(config),
  };
}

/** Rejects with KubeError if the API server refuses, and with an error that names the step if there is no response. */
export async function request<T>(step: string, sent: Promise<T>): Promise<T> {
  try {
    return await sent;
  } catch (error) {
    if (isRefusal(error)) throw refusal(step, error);
    throw new Error(step, { cause: error });
  }
}

/** Undefined if the API server answers with this status. */
export async function ignoring<T>(status: number, sent: Promise<T>): Promise<T | undefined> {
  try {
    return await sent;
  } catch (error) {
    if (hasStatus(error, status)) return undefined;
    throw error;
  }
}

/** Typed objects with the names and the texts of the wire: client-node makes Dates of times. */
export function asWire<T>(typed: unknown): T {
  return JSON.parse(JSON.stringify(typed)) as T;
}

/**
 * client-node 2.0 makes a dispatcher, and so a connection, for each request. This keeps one for a while: certificates
 * may be renewed.
 */
function reuseConnections(): (context: RequestContext) => void {
  let kept: ReturnType<RequestContext["getDispatcher"]>;
  let until = Number.NEGATIVE_INFINITY;
  return (context) => {
    if (performance.now() >= until) {
      kept = context.getDispatcher();
      until = performance.now() + CONNECTIONS_MS;
    }
    if (kept !== undefined) context.setDispatcher(kept);
  };
}

/**
 * A write that is late is given up: it must not reach the API server when another replica leads. An answer to a read
 * that has arrived while this process was busy is in time.
 */
async function prepare(
  context: RequestContext,
  userAgent: string,
  mayWriteMs: Connection["mayWriteMs"],
): Promise<RequestContext> {
  const isWrite = context.getHttpMethod() !== HttpMethod.GET;
  const leftMs = isWrite && mayWriteMs ? mayWriteMs() : REQUEST_TIMEOUT_MS;
  if (leftMs <= 0) throw new NotLeadingError();
  context.setHeaderParam("User-Agent", userAgent);
  context.setSignal(
    isWrite
      ? AbortSignal.timeout(Math.ceil(Math.min(leftMs, REQUEST_TIMEOUT_MS)))
      : startDeadline(REQUEST_TIMEOUT_MS).signal,
  );
  return context;
}

async function passOn(context: ResponseContext): Promise<ResponseContext> {
  return context;
}

function patientWatch(config: KubeConfig): Watch {
  return Object.assign(new Watch(config), { requestTimeoutMs: WATCH_TIMEOUT_MS });
}

function isRefusal(error: unknown): error is ApiException<unknown> {
  return error instanceof Error && typeof (error as { code?: unknown }).code === "number" && "body" in error;
}

function refusal(step: string, { code, body, headers }: ApiException<unknown>): KubeError {
  const status = parseStatus(typeof body === "string" ? body : JSON.stringify(body ?? {}));
  return new KubeError(step, code, withRetryAfter(status, headers));
}
