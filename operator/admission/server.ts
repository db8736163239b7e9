/** The HTTPS server that API servers ask about policies. */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { errorText } from "../../lib/logger.ts";
import type { Certificate } from "./certificate.ts";
import { type ReviewAnswer, ReviewError } from "./review.ts";

/** A server that listens. */
export interface AdmissionServer {
  port: number;
  /** Used from the next connection on. */
  setCertificate(certificate: Certificate): void;
  close(): Promise<void>;
}

/** What it answers with. */
export interface AdmissionServerOptions {
  host?: string;
  port: number;
  certificate: Certificate;
  review(body: unknown): Promise<ReviewAnswer>;
}

const VALIDATE_PATH = "/validate";
/** An old and a new object, each as large as the API server takes them. */
const MAX_BODY_BYTES = 8 << 20;
const TIMEOUT_MS = 10_000;

/** Resolves when it listens. */
export async function startAdmissionServer(options: AdmissionServerOptions): Promise<AdmissionServer> {
  const { key, cert } = options.certificate;
  const server = createServer({ key, cert, requestTimeout: TIMEOUT_MS }, (request, response) => {
    answer(options, request, response).catch((error: unknown) => send(response, 500, errorText(error)));
  });
  server.on("tlsClientError", () => {}); // it trusts another certificate, or speaks no TLS
  server.listen(options.port, options.host);
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    setCertificate: (next) => server.setSecureContext({ key: next.key, cert: next.cert }),
    close: () => close(server),
  };
}

async function answer(
  { review }: AdmissionServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = request.url?.split("?")[0];
  if (path !== VALIDATE_PATH) return send(response, 404, `only ${VALIDATE_PATH} is here`);
  if (request.method !== "POST") return send(response, 405, "only POST");
  const body = await readBody(request);
  if (body === undefined) return send(response, 413, `the body has more than ${MAX_BODY_BYTES} bytes`);
  try {
    const text = JSON.stringify(await review(JSON.parse(body)));
    response.writeHead(200, { "content-type": "application/json" }).end(text);
  } catch (error) {
    if (error instanceof ReviewError) return send(response, 400, error.message);
    if (error instanceof SyntaxError) return send(response, 400, `the body is no JSON: ${error.message}`);
    throw error;
  }
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function send(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent) return void response.destroy();
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", connection: "close" });
  response.end(`${text}\n`);
}

async function close(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}
