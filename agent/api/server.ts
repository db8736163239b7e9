/** What the loaded servers have in common. */
import type { Duplex } from "node:stream";

/** Takes connections. */
export interface GrpcServer {
  connect(socket: Duplex): void;
  /** Ends all calls and connections. */
  close(): void;
}
