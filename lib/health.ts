/** The HTTP server of a process: /metrics, /healthz, /readyz. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry } from "prom-client";
import { errorText } from "./logger.ts";
import { renderMetrics } from "./scraped-metrics.ts";

/** Returns the problem; undefined if there is none. */
export type Check = () => string | undefined;

/** Named checks. They are read at each request, so checks may be added or replaced while the server runs. */
export interface HealthChecks {
  /** Checks of /healthz: one that fails means that only a restart helps. */
  live: Record<string, Check>;
  /** Checks of /readyz. */
  ready: Record<string, Check>;
}

/** Where the server listens and what it answers with. */
export interface HealthServerOptions extends HealthChecks {
  /** The address to listen on; absent for every address. */
  host?: string;
  /** 0 for any free port, which the result has. */
  port: number;
  registry: Registry;
}

/** A running server. */
export interface HealthServer {
  port: number;
  close(): Promise<void>;
}

/** Starts the server. Resolves when it listens; rejects with an error that names the address if it cannot. */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const server = createServer((request, response) => {
    answer(options, request, response).catch((error) => send(response, 500, `${errorText(error)}\n`));
  });
  await listen(server, options.port, options.host);
  return { port: (server.address() as AddressInfo).port, close: () => close(server) };
}

async function answer(options: HealthServerOptions, request: IncomingMessage, response: ServerResponse) {
  if (request.method !== "GET" && request.method !== "HEAD") return send(response, 405, "only GET\n");
  switch (request.url?.split("?")[0]) {
    case "/metrics":
      return send(response, 200, await renderMetrics(options.registry), options.registry.contentType);
    case "/healthz":
      return sendChecks(response, options.live);
    case "/readyz":
      return sendChecks(response, options.ready);
    default:
      return send(response, 404, "try /metrics, /healthz or /readyz\n");
  }
}

/** Answers 200 and `ok`, or 503 and `not ok`, after one line per check that `curl` shows. */
function sendChecks(response: ServerResponse, checks: Record<string, Check>): void {
  const results = Object.entries(checks).map(([name, check]) => ({ name, problem: check() }));
  const lines = results.map(({ name, problem }) => `[${problem ? "-" : "+"}] ${name}: ${problem ?? "ok"}`);
  const failed = results.some(({ problem }) => problem !== undefined);
  send(response, failed ? 503 : 200, `${[...lines, failed ? "not ok" : "ok"].join("\n")}\n`);
}

function send(
  response: ServerResponse,
  status: number,
  body: string | Buffer,
  type = "text/plain; charset=utf-8",
) {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
  response.end(body);
}

function listen(server: Server, port: number, host?: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(new Error(`listen on ${host ?? "*"}:${port}`, { cause })));
    server.listen(port, host, resolve);
  });
}

function close(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
