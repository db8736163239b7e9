/** A stream of events over plain HTTP/2, whose client reads only when it is told to: gRPC clients read ahead. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { fromBinary, type Message, toJson } from "@bufbuild/protobuf";
import { messageType, registry } from "../../../proto/descriptors.ts";

const EVENT = messageType("tetragon.GetEventsResponse");
const HEADER_BYTES = 5;

/** Asks for all events. */
export class RawStream {
  readonly closed: Promise<void>;
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #chunks: Buffer[] = [];

  constructor(socket: string) {
    this.#session = connectHttp2("http://localhost", { createConnection: () => connect(socket) });
    this.#session.on("error", () => {});
    this.#stream = this.#session.request({
      ":method": "POST",
      ":path": "/tetragon.FineGuidanceSensors/GetEvents",
      "content-type": "application/grpc",
      te: "trailers",
    });
    this.#stream.on("error", () => {});
    this.closed = new Promise((resolve) => this.#session.once("close", () => resolve()));
    this.#stream.end(Buffer.alloc(HEADER_BYTES));
  }

  /** Resolves when the server has answered. */
  get open(): Promise<void> {
    return new Promise((resolve) => this.#stream.once("response", () => resolve()));
  }

  /** From now on what comes is read. */
  read(): void {
    this.#stream.on("data", (chunk: Buffer) => this.#chunks.push(chunk));
  }

  /** Everything that was read, in the JSON form of protobuf. */
  // biome-ignore lint/suspicious/noExplicitAny: events of every shape
  get events(): any[] {
    const bytes = Buffer.concat(this.#chunks);
    const events = [];
    for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
      const end = at + HEADER_BYTES + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) break;
      events.push(
        toJson(EVENT, fromBinary(EVENT, bytes.subarray(at + HEADER_BYTES, end)) as Message, { registry }),
      );
      at = end;
    }
    return events;
  }

  close(): void {
    this.#session.destroy();
  }
}
