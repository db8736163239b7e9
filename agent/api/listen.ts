/** Listening sockets of the gRPC server, which know nothing of gRPC: it is loaded when the first client connects. */
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer } from "node:tls";
import { addressText, type ServerAddress } from "./address.ts";
import { type TlsFiles, TlsMaterial } from "./tls.ts";

/** What a client that has connected is handed to. */
export type OnConnection = (socket: Duplex) => void;

/** A socket that listens. */
export interface Listener {
  /** With the port that was chosen where 0 was asked for. */
  readonly address: ServerAddress;
  /** Listens no more; connections stay. */
  close(): Promise<void>;
}

const SOCKET_MODE = 0o660;
/** Connections that may wait to be accepted. More are refused on a UNIX socket, and Node's own 511 are too few for 1,000 clients. */
const BACKLOG = 4_096;
/** How long a client may take to negotiate TLS. */
const HANDSHAKE_MS = 10_000;

/**
 * Resolves when clients can connect; rejects with the address and what is wrong with it. `maxSockets` counts those whose
 * TLS is not negotiated yet, too, of which `onConnection` does not know; more are closed.
 */
export async function listen(
  address: ServerAddress,
  tls: TlsFiles | undefined,
  onConnection: OnConnection,
  maxSockets?: number,
): Promise<Listener> {
  if ("path" in address) return listenUnix(address.path, onConnection);
  const material = tls && new TlsMaterial(tls);
  const server = material
    ? createTlsServer(
        { ...material.options(), ALPNProtocols: ["h2"], handshakeTimeout: HANDSHAKE_MS },
        onConnection,
      )
    : createServer(onConnection);
  if (material)
    material.watch((options) => (server as ReturnType<typeof createTlsServer>).setSecureContext(options));
  if (maxSockets !== undefined) server.maxConnections = maxSockets;
  server.on("tlsClientError", () => {}); // of a client that speaks no TLS or has no certificate; it is closed
  const { host, port } = address;
  await start(server, address, () =>
    server.listen({ port, ...(host !== undefined && { host }), backlog: BACKLOG }),
  );
  const { port: bound } = server.address() as { port: number };
  return {
    address: { ...address, port: bound },
    close: () => {
      material?.close();
      return stop(server);
    },
  };
}

/** Root and the socket's group may connect. */
async function listenUnix(path: string, onConnection: OnConnection): Promise<Listener> {
  const address = { path };
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  await removeStaleSocket(path);
  const server = createServer(onConnection);
  await start(server, address, () => server.listen({ path, backlog: BACKLOG }));
  chmodSync(path, SOCKET_MODE);
  return { address, close: () => stop(server) };
}

/** A socket that an agent has left behind refuses connections; one that accepts them belongs to another agent. */
async function removeStaleSocket(path: string): Promise<void> {
  if (await isServed({ path }))
    throw new Error(
      `listen on unix://${path}: another process serves this socket, a second agent on this node or Tetragon's; to run beside it, set --server-address to another path`,
    );
  rmSync(path, { force: true });
}

/** Whether a process accepts connections there. */
export function isServed(address: ServerAddress): Promise<boolean> {
  return new Promise((resolve) => {
    const socket: Socket = connect(address);
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

function start(server: Server, address: ServerAddress, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(new Error(`listen on ${addressText(address)}`, { cause })));
    server.once("listening", resolve);
    listen();
  });
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
