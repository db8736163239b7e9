/** How many calls clients may have open, in all and by one connection: what is beyond is refused, and the rest goes on. */
import {
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  ServerListenerBuilder,
  status,
} from "@grpc/grpc-js";

/** Streams of events stay open, and every other call holds memory while its request comes in. */
export interface CallLimits {
  total: number;
  perConnection: number;
}

const LIMITS: CallLimits = { total: 2_048, perConnection: 512 };

/** Open calls by connection. */
export class OpenCalls {
  readonly #limits: CallLimits;
  readonly #counts = new Map<string, number>();
  #total = 0;

  constructor(limits: CallLimits = LIMITS) {
    this.#limits = limits;
  }

  /** Whether a connection has calls open. */
  has(peer: string): boolean {
    return this.#counts.has(peer);
  }

  /** Refuses a call with RESOURCE_EXHAUSTED, or counts it until it ends. */
  readonly interceptor: ServerInterceptor = (_method, call) => {
    const peer = call.getPeer();
    const refusal = this.#refusal(peer);
    return refusal === undefined ? this.#counted(call, peer) : refused(call, refusal);
  };

  #refusal(peer: string): string | undefined {
    const { total, perConnection } = this.#limits;
    if ((this.#counts.get(peer) ?? 0) >= perConnection)
      return `this connection has ${perConnection} calls open, which is the most`;
    return this.#total >= total ? `clients have ${total} calls open, which is the most` : undefined;
  }

  #counted(call: ServerInterceptingCallInterface, peer: string): ServerInterceptingCall {
    const end = this.#open(peer);
    const listener = new ServerListenerBuilder().withOnCancel(end).build();
    return new ServerInterceptingCall(call, {
      start: (next) => next(listener),
      sendStatus: (sent, next) => {
        end();
        next(sent);
      },
    });
  }

  /** Counts a call; what is returned ends it, once. */
  #open(peer: string): () => void {
    this.#add(peer, 1);
    let isOpen = true;
    return () => {
      if (isOpen) this.#add(peer, -1);
      isOpen = false;
    };
  }

  #add(peer: string, change: number): void {
    this.#total += change;
    const count = (this.#counts.get(peer) ?? 0) + change;
    if (count > 0) this.#counts.set(peer, count);
    else this.#counts.delete(peer);
  }
}

function refused(call: ServerInterceptingCallInterface, details: string): ServerInterceptingCall {
  const listener = new ServerListenerBuilder()
    .withOnReceiveMetadata(() => call.sendStatus({ code: status.RESOURCE_EXHAUSTED, details }))
    .build();
  return new ServerInterceptingCall(call, { start: (next) => next(listener) });
}
