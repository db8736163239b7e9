/** The agent's gRPC servers: each listens from the start, and is loaded when the first client connects. */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout } from "node:timers/promises";
import { errorText, type Logger } from "../../lib/logger.ts";
import { addressText, type ServerAddress } from "./address.ts";
import type { ServicesDeps } from "./grpc-server.ts";
import type { HealthOptions } from "./health.ts";
import { type Listener, listen } from "./listen.ts";
import type { GrpcServer } from "./server.ts";
import type { TlsFiles } from "./tls.ts";

/** What the API is built from. */
export interface ApiDeps {
  address: ServerAddress;
  tls?: TlsFiles;
  services: ServicesDeps;
  /** By default 1,024. */
  maxConnections?: number;
  logger: Logger;
}

/** A server that runs. */
export interface Api {
  readonly address: ServerAddress;
  close(): Promise<void>;
}

/** How long clients may take to read why their calls end. */
const GOODBYE_MS = 1_000;

/** What the health server is built from. */
export interface HealthApiDeps {
  address: ServerAddress;
  health: HealthOptions;
  logger: Logger;
}

/** How a server comes into being: `disconnect` ends the connection of a peer. */
type Load = (disconnect: (peer: string) => void) => Promise<GrpcServer>;

/** Of the server with all services: each takes about 80 KB with a stream. */
const MAX_CONNECTIONS = 1_024;
/** Of a server that any machine may connect to: enough for probes, whose connections are short. */
const MAX_HEALTH_CONNECTIONS = 64;

/** Serves all services. Resolves when clients can connect. */
export function startApi({ address, tls, services, logger, ...limits }: ApiDeps): Promise<Api> {
  const { maxConnections = MAX_CONNECTIONS } = limits;
  return serve({ name: "gRPC", address, ...(tls && { tls }), maxConnections, logger }, async (disconnect) =>
    (await import("./grpc-server.ts")).openGrpcServer(services, disconnect),
  );
}

/** Serves the health service alone. Resolves when clients can connect. */
export function startHealthApi({ address, health, logger }: HealthApiDeps): Promise<Api> {
  const limits = { maxConnections: MAX_HEALTH_CONNECTIONS };
  return serve({ name: "gRPC health", address, logger, ...limits }, async () =>
    (await import("./health-server.ts")).openHealthServer(health),
  );
}

interface Serving {
  /** Names the server in the log. */
  name: string;
  address: ServerAddress;
  tls?: TlsFiles;
  /**
   * With one more the oldest without a call is closed, so that connections that stay keep no client out; the new one if
   * all have calls.
   */
  maxConnections: number;
  logger: Logger;
}

async function serve(serving: Serving, load: Load): Promise<Api> {
  const { name, address, tls, maxConnections, logger } = serving;
  const connections = new Connections(maxConnections, () =>
    logger.warn(`${name}: more than ${maxConnections} connections: those without calls are closed first`),
  );
  let server: Promise<GrpcServer> | undefined;
  let loaded: GrpcServer | undefined;
  const onConnection = (socket: Duplex) => {
    if (!connections.add(socket as Socket, (peer) => loaded?.hasCalls?.(peer) ?? false)) return;
    server ??= load((peer) => connections.end(peer));
    server.then(
      (opened) => {
        loaded = opened;
        opened.connect(socket);
      },
      (error: unknown) => {
        logger.error(`${name}: ${errorText(error)}`);
        socket.destroy();
      },
    );
  };
  const listener: Listener = await listen(address, tls, onConnection, 2 * maxConnections);
  logger.info(`${name} on ${addressText(listener.address)}`);
  return {
    address: listener.address,
    close: async () => {
      const closed = listener.close();
      (await server)?.close();
      await connections.endAll(GOODBYE_MS);
      await closed;
    },
  };
}

/** Open connections by the name that calls know their peer by. */
class Connections {
  readonly #sockets = new Map<string, Socket>();
  readonly #most: number;
  readonly #onFull: () => void;
  #isFull = false;
  #next = 1;

  /** `onFull` is called once until half of the connections are gone. */
  constructor(most: number, onFull: () => void) {
    this.#most = most;
    this.#onFull = onFull;
  }

  /** False: it was one too many and is closed. */
  add(socket: Socket, hasCalls: (peer: string) => boolean): boolean {
    socket.on("error", () => {}); // a client that is gone; its calls end with it
    if (this.#sockets.size >= this.#most && !this.#makeRoom(hasCalls)) {
      socket.destroy();
      return false;
    }
    if (socket.remoteAddress === undefined) nameUnixPeer(socket, this.#next++);
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#sockets.set(peer, socket);
    socket.once("close", () => {
      if (this.#sockets.get(peer) === socket) this.#sockets.delete(peer);
      if (this.#sockets.size <= this.#most / 2) this.#isFull = false;
    });
    return true;
  }

  /** Closes the oldest connection without calls. */
  #makeRoom(hasCalls: (peer: string) => boolean): boolean {
    if (!this.#isFull) this.#onFull();
    this.#isFull = true;
    for (const peer of this.#sockets.keys()) {
      if (hasCalls(peer)) continue;
      this.end(peer);
      return true;
    }
    return false;
  }

  end(peer: string): void {
    this.#sockets.get(peer)?.destroy();
    this.#sockets.delete(peer);
  }

  /** Resolves when all are closed, at the end of the time by force. */
  async endAll(graceMs: number): Promise<void> {
    const end = performance.now() + graceMs;
    while (this.#sockets.size > 0 && performance.now() < end) await setTimeout(10);
    for (const socket of this.#sockets.values()) socket.destroy();
  }
}

/** Peers of a UNIX socket have no address: without one, nothing tells one from another. */
function nameUnixPeer(socket: Socket, number: number): void {
  Object.defineProperties(socket, { remoteAddress: { value: "unix" }, remotePort: { value: number } });
}
