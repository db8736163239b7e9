/** A gRPC server with the health service and nothing else. Loaded when the first client connects. */
import type { Duplex } from "node:stream";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { addHealth, type HealthOptions } from "./health.ts";
import type { GrpcServer } from "./server.ts";

/** Requests have the name of a service. */
const MAX_REQUEST_BYTES = 4 << 10;
const MAX_CALLS = 16;
const KEEPALIVE_MS = 60_000;

/** Any machine may connect, so that no client can make the agent hold much. */
export function openHealthServer(options: HealthOptions): GrpcServer {
  const server = new Server({
    "grpc.max_receive_message_length": MAX_REQUEST_BYTES,
    "grpc.max_concurrent_streams": MAX_CALLS,
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
  });
  const endHealth = addHealth(server, options);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return {
    connect: (socket: Duplex) => injector.injectConnection(socket),
    close: () => {
      endHealth();
      injector.drain(0);
      injector.destroy();
    },
  };
}
