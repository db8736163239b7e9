/** One watch request: from the first byte to its end, as an async sequence of events. */
import type { IncomingMessage } from "node:http";
import type { Transport } from "./api-transport.ts";
import { KubeError, type KubeStatus, parseAnswer, parseStatus } from "./kube-error.ts";
import { type KubeObject, type Resource, resourcePath } from "./resources.ts";
import { IdleTimer } from "./silence.ts";

/** Selects the objects to list or watch. */
export interface Selection {
  /** Absent for all namespaces. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

/** An event of a watch; a bookmark has only a resource version. */
export interface WatchEvent {
  type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  object: KubeObject;
}

/** Options of a watch request. */
export interface WatchStreamOptions extends Selection {
  resourceVersion: string;
  /** The server ends the watch after this time. */
  timeoutSeconds: number;
  /** How long the stream may be silent before the connection is considered dead. */
  patience: Patience;
  signal: AbortSignal;
  /** Called when the server has accepted the watch. */
  onOpen(): void;
}

/**
 * How long the stream may be silent. The API server sends a bookmark each minute, but often only once the resource has
 * changed since the watch began. Until the first bookmark, the only certain sign of life is the end of the watch after
 * `timeoutSeconds`. TCP keep-alive ends the connection earlier if the peer has left the network.
 */
export interface Patience {
  /** Until the response begins. */
  answerMs: number;
  /** After the first bookmark. */
  bookmarkMs: number;
  /** In addition to `timeoutSeconds`, before the first bookmark. */
  graceMs: number;
}

/**
 * Yields events until the server ends the watch. Throws KubeError if the server refuses or reports an error, IdleError
 * if it is silent for too long. The connection is closed when the sequence ends, in every case.
 */
export async function* watchStream(
  transport: Pick<Transport, "open">,
  resource: Resource,
  options: WatchStreamOptions,
): AsyncGenerator<WatchEvent> {
  const { patience } = options;
  const idle = new IdleTimer(patience.answerMs);
  const signal = AbortSignal.any([options.signal, idle.signal]);
  let response: IncomingMessage | undefined;
  try {
    const path = resourcePath(
      resource,
      options.namespace === undefined ? {} : { namespace: options.namespace },
    );
    response = await transport.open({ method: "GET", path, query: watchQuery(options) }, signal);
    const step = `watch ${resource.plural}`;
    if (response.statusCode !== 200) {
      throw new KubeError(step, response.statusCode ?? 0, parseStatus(await firstKilobytes(response)));
    }
    options.onOpen();
    idle.allow(options.timeoutSeconds * 1000 + patience.graceMs);
    for await (const line of readLines(idle.resetBy(response))) {
      const event = parseEvent(step, line);
      if (event.type === "BOOKMARK") idle.allow(patience.bookmarkMs);
      yield event;
    }
  } catch (error) {
    throw idle.signal.aborted && !options.signal.aborted ? idle.signal.reason : error;
  } finally {
    idle.stop();
    response?.destroy();
  }
}

/** Query of a watch request. */
export function watchQuery(
  options: WatchStreamOptions,
): Record<string, string | number | boolean | undefined> {
  const { resourceVersion, timeoutSeconds, labelSelector, fieldSelector } = options;
  return {
    watch: true,
    allowWatchBookmarks: true,
    resourceVersion,
    timeoutSeconds,
    labelSelector,
    fieldSelector,
  };
}

interface RawEvent {
  type: string;
  object: KubeObject & KubeStatus;
}

function parseEvent(step: string, line: string): WatchEvent {
  const event = parseAnswer<RawEvent>(
    step,
    line,
    ({ type, object }) => type !== undefined && object !== undefined,
  );
  if (event.type === "ERROR") throw new KubeError(step, event.object.code ?? 500, event.object);
  return event as WatchEvent;
}

/** Splits a byte stream at line feeds; drops a last line without one, because it is incomplete. */
async function* readLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let pending: Buffer[] = [];
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      pending.push(chunk.subarray(start, end));
      yield Buffer.concat(pending).toString("utf8");
      pending = [];
      start = end + 1;
    }
    if (start < chunk.length) pending.push(chunk.subarray(start));
  }
}

async function firstKilobytes(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response) {
    text += chunk;
    if (text.length > 4096) break;
  }
  return text;
}
