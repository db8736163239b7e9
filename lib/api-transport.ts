/** HTTP to one API server. Short requests share kept-alive connections; each watch has a connection of its own. */
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { ClusterAccess } from "./cluster-access.ts";
import { startDeadline } from "./silence.ts";

const gunzipAsync = promisify(gunzip);

/** One request; `path` starts with a slash. */
export interface ApiRequest {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  contentType?: string;
  /** Besides those of every request. */
  headers?: Record<string, string>;
}

/** A complete response. */
export interface ApiResponse {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
}

/** Settings of a transport. */
export interface TransportOptions {
  /** The User-Agent header. The API server's audit log and flow control identify the client by it. */
  userAgent: string;
  requestTimeoutMs?: number;
}

/** TCP keep-alive ends the connection to an API server that has vanished, even without any of our timers. */
const TCP_KEEPALIVE_MS = 30_000;

/** What a client needs of a transport. */
export interface Transport {
  /** Resolves with the complete response, whatever its status; rejects if none came in time. */
  send(request: ApiRequest): Promise<ApiResponse>;
  /** Resolves when the headers have arrived; the caller must read or destroy the body. */
  open(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage>;
  /** Closes idle connections; requests in flight are not interrupted. */
  close(): void;
}

/** Sends requests; knows nothing of Kubernetes objects. */
export class ApiTransport implements Transport {
  readonly #access: ClusterAccess;
  readonly #options: Required<TransportOptions>;
  readonly #module: typeof http | typeof https;
  readonly #agent: http.Agent;

  constructor(access: ClusterAccess, options: TransportOptions) {
    this.#access = access;
    this.#options = { requestTimeoutMs: 30_000, ...options };
    this.#module = access.server.protocol === "https:" ? https : http;
    this.#agent = new this.#module.Agent({
      keepAlive: true,
      maxSockets: 8,
      keepAliveMsecs: TCP_KEEPALIVE_MS,
    });
  }

  async send(request: ApiRequest): Promise<ApiResponse> {
    const { signal, clear } = startDeadline(this.#options.requestTimeoutMs);
    try {
      const response = await this.#start(request, { agent: this.#agent, signal, acceptEncoding: "gzip" });
      return { status: response.statusCode ?? 0, headers: response.headers, text: await readText(response) };
    } catch (cause) {
      throw new Error(`${request.method} ${request.path}`, { cause: signal.aborted ? signal.reason : cause });
    } finally {
      clear();
    }
  }

  async open(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    try {
      return await this.#start(request, { agent: false, signal, acceptEncoding: "identity" });
    } catch (cause) {
      throw new Error(`${request.method} ${request.path}`, { cause });
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #start(request: ApiRequest, how: StartOptions, isRetry = false): Promise<IncomingMessage> {
    const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body));
    const common = await this.#headers(how.acceptEncoding);
    const headers = { ...common, ...request.headers, ...bodyHeaders(request, body) };
    const url = new URL(joinPath(this.#access.server.pathname, request.path), this.#access.server);
    for (const [name, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    return new Promise((resolve, reject) => {
      const { agent, signal } = how;
      const sent = this.#module.request(url, {
        method: request.method,
        headers,
        agent,
        signal,
        ...this.#access.tls,
      });
      sent.on("response", resolve);
      sent.on("socket", (socket) => socket.setKeepAlive(true, TCP_KEEPALIVE_MS));
      sent.on("error", (error: NodeJS.ErrnoException) => {
        // The server closed a kept-alive connection as we used it. A POST is not repeated: it may have taken effect.
        const stale = sent.reusedSocket && error.code === "ECONNRESET" && request.method !== "POST";
        if (stale && !isRetry) resolve(this.#start(request, how, true));
        else reject(error);
      });
      sent.end(body);
    });
  }

  async #headers(acceptEncoding: string): Promise<Record<string, string>> {
    return {
      accept: "application/json",
      "accept-encoding": acceptEncoding,
      "user-agent": this.#options.userAgent,
      ...(await this.#access.authorize()),
    };
  }
}

interface StartOptions {
  agent: http.Agent | false;
  signal: AbortSignal;
  acceptEncoding: string;
}

/** Sets content-length, which Node.js omits for DELETE; the server would then read the body as another request. */
function bodyHeaders(request: ApiRequest, body: Buffer | undefined): Record<string, string> {
  if (body === undefined) return {};
  return { "content-type": request.contentType ?? "application/json", "content-length": String(body.length) };
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  return (response.headers["content-encoding"] === "gzip" ? await gunzipAsync(body) : body).toString("utf8");
}

function joinPath(prefix: string, path: string): string {
  return prefix.replace(/\/$/, "") + path;
}
