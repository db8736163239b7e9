/** Where events go: each output filters, encodes and delivers them in its own way. */
import type { HookLosses } from "../metrics/losses.ts";
import { ByteWriter, WRITER_BYTES } from "./byte-writer.ts";
import type { EventEncoder } from "./encoder.ts";
import type { OutputEvent } from "./event.ts";

/** Whether an output gets an event. Never throws, and keeps nothing of the event. */
export type EventFilter = (event: OutputEvent) => boolean;

/** Takes encoded events. Never throws, never waits. */
export interface OutputSink {
  /**
   * Whole events in stream order. Other sinks may get the same bytes: they must not be modified. `losses`: where those of
   * the events are counted that are lost, for those of hooks. Where there is `release`, the sink may pass it the bytes once
   * it needs them no more: their memory is used again.
   */
  write(
    bytes: Uint8Array,
    events: number,
    losses: readonly HookLosses[],
    release?: (bytes: Uint8Array) => void,
  ): void;
  /** Resolves when everything written before has gone out or is lost. */
  flush(): Promise<void>;
}

/** One way out for events. */
export interface Output {
  /** Absent: every event. */
  readonly filter?: EventFilter;
  readonly encoder: EventEncoder;
  readonly sink: OutputSink;
  /**
   * The sink gets each event by itself, at once. Outputs of this kind that have the same encoder share the bytes: an event
   * is encoded once, however many of them want it. Default: the sink gets chunks of many events.
   */
  readonly perEvent?: boolean;
}

/** How much a sink gets at once, unless events are rare: a buffer with room for one more event. */
const CHUNK_BYTES = WRITER_BYTES - (16 << 10);
/**
 * Buffers of one output that sinks may have at a time; what goes beyond them is copied. As many as the lines of a full batch
 * of the ring fill: copies are memory outside of V8's heap, for which it collects all garbage again and again.
 */
const LENT_BUFFERS = 64;

/** The outputs of a pipeline; they come and go while it runs. */
export class Outputs {
  readonly #chunked = new Map<Output, ChunkRoute>();
  readonly #perEvent = new Map<EventEncoder, EventRoute>();
  /** Replaced as a whole: a sink that is called may remove its output. */
  #routes: readonly (ChunkRoute | EventRoute)[] = [];

  constructor(outputs: readonly Output[] = []) {
    for (const output of outputs) this.add(output);
  }

  /** The output gets events from the next one on. */
  add(output: Output): void {
    if (!output.perEvent) this.#chunked.set(output, new ChunkRoute(output));
    else {
      const route = this.#perEvent.get(output.encoder) ?? new EventRoute(output.encoder);
      this.#perEvent.set(output.encoder, route);
      route.add(output);
    }
    this.#updateRoutes();
  }

  /** Hands over what has been encoded for the output. The event that is being written may be its last one. */
  remove(output: Output): void {
    this.#chunked.get(output)?.flush();
    this.#chunked.delete(output);
    const route = this.#perEvent.get(output.encoder);
    route?.remove(output);
    if (route?.outputs.length === 0) this.#perEvent.delete(output.encoder);
    this.#updateRoutes();
  }

  /** Passes an event to every output that wants it. */
  write(event: OutputEvent): void {
    for (const route of this.#routes) route.write(event);
  }

  /** Hands over everything that has been encoded. */
  flush(): void {
    for (const route of this.#chunked.values()) route.flush();
  }

  /** flush(), and resolves when the sinks have nothing more to write. */
  async drain(): Promise<void> {
    this.flush();
    const perEvent = [...this.#perEvent.values()].flatMap(({ outputs }) => outputs);
    await Promise.all([...this.#chunked.keys(), ...perEvent].map(({ sink }) => sink.flush()));
  }

  #updateRoutes(): void {
    this.#routes = [...this.#chunked.values(), ...this.#perEvent.values()];
  }
}

/** Collects the events of one output. */
class ChunkRoute {
  readonly #sink: OutputSink;
  readonly #filter: EventFilter | undefined;
  readonly #encoder: EventEncoder;
  readonly #out = new ByteWriter();
  readonly #spare: ArrayBuffer[] = [];
  readonly #release = ({ buffer }: Uint8Array) => void this.#spare.push(buffer as ArrayBuffer);
  #lent = 0;
  #events = 0;
  #losses: HookLosses[] = [];

  constructor({ sink, filter, encoder }: Output) {
    this.#sink = sink;
    this.#filter = filter;
    this.#encoder = encoder;
  }

  write(event: OutputEvent): void {
    if (this.#filter !== undefined && !this.#filter(event)) return;
    encode(this.#encoder, this.#out, event);
    this.#events++;
    if (event.kind === "hook") this.#losses.push(event.hook.losses[0] as HookLosses);
    if (this.#out.length > CHUNK_BYTES) this.flush();
  }

  flush(): void {
    if (this.#out.length === 0) return;
    const events = this.#events;
    const losses = this.#losses;
    this.#events = 0;
    this.#losses = [];
    const spare = this.#spare.pop() ?? this.#lend();
    if (spare) this.#sink.write(this.#out.swap(spare), events, losses, this.#release);
    else this.#sink.write(this.#out.take(), events, losses);
  }

  #lend(): ArrayBuffer | undefined {
    if (this.#lent === LENT_BUFFERS) return undefined;
    this.#lent++;
    return new ArrayBuffer(WRITER_BYTES);
  }
}

const NO_LOSSES: readonly HookLosses[] = [];

/** Encodes each event once for all outputs that want it. */
class EventRoute {
  readonly #encoder: EventEncoder;
  readonly #out = new ByteWriter();
  /** Replaced as a whole, as the routes. */
  outputs: readonly Output[] = [];

  constructor(encoder: EventEncoder) {
    this.#encoder = encoder;
  }

  add(output: Output): void {
    this.outputs = [...this.outputs, output];
  }

  remove(output: Output): void {
    this.outputs = this.outputs.filter((other) => other !== output);
  }

  write(event: OutputEvent): void {
    let bytes: Uint8Array | undefined;
    const losses = event.kind === "hook" ? event.hook.losses : NO_LOSSES;
    for (const { filter, sink } of this.outputs) {
      if (filter !== undefined && !filter(event)) continue;
      bytes ??= this.#encode(event);
      if (bytes.length > 0) sink.write(bytes, 1, losses);
    }
  }

  #encode(event: OutputEvent): Uint8Array {
    encode(this.#encoder, this.#out, event);
    return this.#out.take();
  }
}

function encode(encoder: EventEncoder, out: ByteWriter, event: OutputEvent): void {
  if (event.kind === "hook") encoder.hook(out, event);
  else if (event.kind === "exec") encoder.exec(out, event);
  else encoder.exit(out, event);
}
