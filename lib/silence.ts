/**
 * Notices that a peer is silent. Timers run before sockets are read, so after a pause of this process a timer that is
 * due proves nothing: what has arrived meanwhile is read first.
 */

/** Thrown when the peer has been silent for too long, as on a half-open connection. */
export class IdleError extends Error {}

/** How long bytes that wait in the socket may take to be read when the process has been busy or frozen. */
const SECOND_LOOK_MS = 1_000;
/** Turns of the event loop that read what waits: a TLS record or the end of a response may take more than one. */
const TURNS = 3;

/** Calls back once, unless it is restarted or stopped in time, also by what is read after a pause of the process. */
class PatientTimer {
  readonly #expired: () => void;
  #cancel: () => void = () => {};

  constructor(expired: () => void) {
    this.#expired = expired;
  }

  start(ms: number): void {
    this.stop();
    this.#wait(ms, () => this.#wait(SECOND_LOOK_MS, () => this.#turn(TURNS)));
  }

  stop(): void {
    this.#cancel();
  }

  #wait(ms: number, then: () => void): void {
    const timer = setTimeout(then, ms).unref();
    this.#cancel = () => clearTimeout(timer);
  }

  /** Immediates run after sockets have been read. */
  #turn(left: number): void {
    const next = () => (left > 1 ? this.#turn(left - 1) : this.#expired());
    const immediate = setImmediate(next);
    this.#cancel = () => clearImmediate(immediate);
  }
}

/** Aborts its signal with an IdleError when it has not been restarted for too long. */
export class IdleTimer {
  readonly #controller = new AbortController();
  readonly #timer = new PatientTimer(() => this.#giveUp());
  #limitMs: number;

  constructor(timeoutMs: number) {
    this.#limitMs = timeoutMs;
    this.#timer.start(timeoutMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Restarts the timer with this limit. */
  allow(timeoutMs: number): void {
    this.#limitMs = timeoutMs;
    this.reset();
  }

  /** Restarts the timer with the same limit. */
  reset(): void {
    this.#timer.start(this.#limitMs);
  }

  async *resetBy(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      this.reset();
      yield chunk;
    }
  }

  stop(): void {
    this.#timer.stop();
  }

  #giveUp(): void {
    const silence = `received nothing for ${this.#limitMs / 1000} s`;
    this.#controller.abort(new IdleError(`${silence}, the connection is dead`));
  }
}

/** A time limit on a request that an answer which waits in the socket is in time for. */
export interface Deadline {
  signal: AbortSignal;
  /** To be called when the answer is there. */
  clear(): void;
}

/** Starts a time limit; its signal is aborted with a TimeoutError. */
export function startDeadline(ms: number): Deadline {
  const controller = new AbortController();
  const timer = new PatientTimer(() =>
    controller.abort(new DOMException(`no answer within ${ms / 1000} s`, "TimeoutError")),
  );
  timer.start(ms);
  return { signal: controller.signal, clear: () => timer.stop() };
}
