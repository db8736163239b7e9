/** The agent's gRPC API: it listens from the start, and is loaded when the first client connects. */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout } from "node:timers/promises";
import { errorText, type Logger } from "../../lib/logger.ts";
import { addressText, type ServerAddress } from "./address.ts";
import type { GrpcServer, ServicesDeps } from "./grpc-server.ts";
import { type Listener, listen } from "./listen.ts";
import type { TlsFiles } from "./tls.ts";

/** What the API is built from. */
export interface ApiDeps {
  address: ServerAddress;
  tls?: TlsFiles;
  services: ServicesDeps;
  logger: Logger;
}

/** A server that runs. */
export interface Api {
  readonly address: ServerAddress;
  close(): Promise<void>;
}

/** How long clients may take to read why their calls end. */
const GOODBYE_MS = 1_000;

/** Resolves when clients can connect. */
export async function startApi({ address, tls, services, logger }: ApiDeps): Promise<Api> {
  const connections = new Connections();
  let server: Promise<GrpcServer> | undefined;
  const load = async () => {
    const { openGrpcServer } = await import("./grpc-server.ts");
    return openGrpcServer(services, (peer) => connections.end(peer));
  };
  const onConnection = (socket: Duplex) => {
    connections.add(socket as Socket);
    server ??= load();
    server.then(
      ({ connect }) => connect(socket),
      (error: unknown) => {
        logger.error(`gRPC: ${errorText(error)}`);
        socket.destroy();
      },
    );
  };
  const listener: Listener = await listen(address, tls, onConnection);
  logger.info(`gRPC on ${addressText(listener.address)}`);
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
  #next = 1;

  add(socket: Socket): void {
    socket.on("error", () => {}); // a client that is gone; its calls end with it
    if (socket.remoteAddress === undefined) nameUnixPeer(socket, this.#next++);
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#sockets.set(peer, socket);
    socket.once("close", () => this.#sockets.delete(peer));
  }

  end(peer: string): void {
    this.#sockets.get(peer)?.destroy();
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
