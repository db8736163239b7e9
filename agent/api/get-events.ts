/** GetEvents: one output of the pipeline per client. */
import { Metadata, type ServerWritableStream, status } from "@grpc/grpc-js";
import { compileFilters, usesCel } from "../events/filters/compile.ts";
import {
  compileFieldFilters,
  type EventRewriter,
  type FieldFilter,
  protoNames,
} from "../events/filters/fields.ts";
import { type Filter, FilterError } from "../events/filters/filter.ts";
import type { EventFilter, Output } from "../events/outputs.ts";
import type { ProtobufEncoder } from "../events/protobuf/encoder.ts";
import type { StreamCounts } from "../metrics/stream-metrics.ts";
import { EventStream, type StreamLimits } from "./event-stream.ts";
import { type Request, readable, type UnreadableRequest } from "./service.ts";
import { CallError, errorStatus } from "./status.ts";

/** What streams of events need. */
export interface GetEventsDeps {
  encoder: ProtobufEncoder;
  addOutput(output: Output): void;
  removeOutput(output: Output): void;
  counts: StreamCounts;
  /** Of each stream; absent: the usual ones. */
  limits?: StreamLimits;
  /** Ends the connection of a client that reads nothing. */
  disconnect(peer: string): void;
}

type Call = ServerWritableStream<Request | UnreadableRequest, Buffer>;

/** A field that asks for more time than a client that is told to go may take to do so. */
const GOODBYE_MS = 5_000;

/** Streams events to clients until they go, are too slow, or the agent ends. */
export class EventStreams {
  readonly #deps: GetEventsDeps;
  readonly #calls = new Set<Call>();

  constructor(deps: GetEventsDeps) {
    this.#deps = deps;
  }

  /** Answers one call. */
  async open(call: Call): Promise<void> {
    try {
      const { filter, rewrite } = await this.#read(readable(call.request));
      if (!call.cancelled) this.#start(call, filter, rewrite);
    } catch (error) {
      const cause =
        error instanceof FilterError ? new CallError(status.INVALID_ARGUMENT, error.message) : error;
      call.emit("error", errorStatus(cause));
    }
  }

  /** Ends all streams: the agent stops. */
  close(): void {
    for (const call of this.#calls)
      call.emit("error", { code: status.UNAVAILABLE, details: "the agent stops" });
  }

  async #read(
    request: Request,
  ): Promise<{ filter: EventFilter | undefined; rewrite: EventRewriter | undefined }> {
    const allow = (request.allow_list ?? []) as Filter[];
    const deny = (request.deny_list ?? []) as Filter[];
    const fields = ((request.field_filters ?? []) as FieldFilter[]).map(protoNames);
    const filter = compileFilters(allow, deny, await this.#cel([...allow, ...deny]));
    return { filter, rewrite: compileFieldFilters(fields) };
  }

  async #cel(filters: Filter[]) {
    if (!usesCel(filters)) return () => () => false;
    const { celCompiler } = await import("../events/filters/cel.ts");
    return celCompiler(this.#deps.encoder);
  }

  #start(call: Call, filter: EventFilter | undefined, rewrite: EventRewriter | undefined): void {
    const { addOutput, removeOutput, encoder, counts, limits } = this.#deps;
    const stream = new EventStream({
      send: (message) => call.write(asBuffer(rewrite ? rewrite(message) : message)),
      lossMessage: (lost) => encoder.lossMessage(lost, Date.now()),
      onStuck: (lost) => this.#cutOff(call, lost),
      counts,
      nowMs: () => performance.now(),
      ...(limits && { limits }),
    });
    const output: Output = { ...(filter && { filter }), encoder, sink: stream, perEvent: true };
    const end = () => {
      if (!this.#calls.delete(call)) return;
      counts.open--;
      stream.close();
      removeOutput(output);
    };
    this.#calls.add(call);
    counts.open++;
    call
      .on("drain", () => stream.drained())
      .on("cancelled", end)
      .on("close", end)
      .on("error", end);
    call.sendMetadata(new Metadata()); // the client knows from now on that events reach it
    addOutput(output);
  }

  /** What the client has not read stands before the status: where it reads nothing at all, the connection goes. */
  #cutOff(call: Call, lost: number): void {
    const details = `too slow: ${lost} events are lost, and none has been read for a while`;
    const peer = call.getPeer();
    call.emit("error", { code: status.RESOURCE_EXHAUSTED, details });
    setTimeout(() => this.#deps.disconnect(peer), GOODBYE_MS).unref();
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
