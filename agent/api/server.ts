/** What the loaded servers have in common. */
import type { Duplex } from "node:stream";

/** Takes connections. */
export interface GrpcServer {
  connect(socket: Duplex): void;
  /** Whether a peer has calls open. Absent: the server does not know. */
  hasCalls?(peer: string): boolean;
  /** Ends all calls and connections. */
  close(): void;
}
