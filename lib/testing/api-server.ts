/** Test data for lib/: an HTTP server with scripted responses as API server, objects, a silent logger. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { KubeClient } from "../kube.ts";
import { createLogger, type Logger } from "../logger.ts";
import type { KubeObject } from "../resources.ts";

/** Answers one request; each script of a test is used once, in order. */
export type Script = (request: IncomingMessage, response: ServerResponse, url: URL) => void;

/** A server whose lists and watches are scripted separately. */
export interface ScriptedServer {
  client: KubeClient;
  lists: URL[];
  watches: URL[];
  /** Watch responses that are open now. */
  open(): number;
  close(): Promise<void>;
}

/** Starts the server. A request for which no script is left hangs, as with a stuck server. */
export async function startScriptedServer(scripts: {
  lists: Script[];
  watches: Script[];
}): Promise<ScriptedServer> {
  const lists: URL[] = [];
  const watches: URL[] = [];
  const open = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://server");
    if (url.searchParams.get("watch") === "true") {
      open.add(response);
      response.on("close", () => open.delete(response));
      watches.push(url);
      scripts.watches[watches.length - 1]?.(request, response, url);
    } else {
      lists.push(url);
      scripts.lists[lists.length - 1]?.(request, response, url);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const access = {
    server: address(server),
    tls: {},
    authorize: async () => ({ authorization: "Bearer test" }),
  };
  const client = new KubeClient(access, { userAgent: "test", requestTimeoutMs: 2_000 });
  return { client, lists, watches, open: () => open.size, close: () => closeAll(server, client) };
}

/** Answers with a page of a list. */
export function page(objects: KubeObject[], resourceVersion: string, next?: string): Script {
  const metadata = { resourceVersion, ...(next && { continue: next }) };
  return (_request, response) => response.end(JSON.stringify({ metadata, items: objects }));
}

/** Refuses with a Kubernetes Status. */
export function refuse(code: number, reason: string): Script {
  return (_request, response) => {
    response.writeHead(code, { "content-type": "application/json" });
    response.end(JSON.stringify({ kind: "Status", code, reason, message: `${reason} by script` }));
  };
}

/** A watch that sends these events and then ends, or stays open and silent. */
export function events(list: [type: string, object: unknown][], then: "end" | "silence"): Script {
  return (_request, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    for (const [type, object] of list) response.write(`${JSON.stringify({ type, object })}\n`);
    if (then === "end") response.end();
  };
}

/** A minimal ConfigMap. */
export function makeObject(name: string, resourceVersion: string, uid = `uid-${name}`): KubeObject {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "default", resourceVersion, uid },
  };
}

/** A logger that writes nothing. */
export function makeLogger(): Logger {
  const logger = createLogger({ component: "test" });
  logger.silent = true;
  return logger;
}

function address(server: Server): URL {
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

function closeAll(server: Server, client: KubeClient): Promise<void> {
  client.transport.close();
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
