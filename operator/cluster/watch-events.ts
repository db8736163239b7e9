/** The watch of client-node as a sequence of events, with what it lacks: errors of the stream, and a sense of silence. */
import type { Watch } from "@kubernetes/client-node";
import { KubeError, type KubeStatus } from "../../lib/kube-error.ts";
import { type KubeObject, type Resource, resourcePath } from "../../lib/resources.ts";
import { IdleTimer } from "../../lib/silence.ts";
import { type WatchEvent, type WatchStreamOptions, watchQuery } from "../../lib/watch-stream.ts";

/**
 * Yields events until the server ends the watch. Throws KubeError if the server refuses or reports an error, IdleError
 * if it is silent for too long. The connection is closed when the sequence ends, in every case.
 */
export async function* watchEvents(
  watch: Pick<Watch, "watch">,
  resource: Resource,
  options: WatchStreamOptions,
): AsyncGenerator<WatchEvent> {
  const { namespace, patience, timeoutSeconds, signal } = options;
  if (signal.aborted) return;
  const step = `watch ${resource.plural}`;
  const idle = new IdleTimer(patience.answerMs);
  const inbox = new Inbox(step);
  const stop = () => inbox.end(signal.aborted ? undefined : idle.signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  idle.signal.addEventListener("abort", stop, { once: true });
  const path = resourcePath(resource, namespace === undefined ? {} : { namespace });
  const take = (type: string, object: KubeObject) => {
    idle.reset();
    if (type === "BOOKMARK") idle.allow(patience.bookmarkMs);
    inbox.put(type, object);
  };
  const opening = watch.watch(path, watchQuery(options), take, (error) => inbox.end(error ?? undefined));
  const opened = opening.then(
    (controller) => {
      if (inbox.isEnded) return controller;
      idle.allow(timeoutSeconds * 1000 + patience.graceMs);
      options.onOpen();
      return controller;
    },
    (error: unknown) => inbox.end(error),
  );
  try {
    yield* inbox.events();
  } finally {
    idle.stop();
    signal.removeEventListener("abort", stop);
    void opened.then((controller) => controller?.abort());
  }
}

/** Events that have arrived and have not been taken. */
class Inbox {
  readonly #step: string;
  #events: WatchEvent[] = [];
  #ended = false;
  #error: unknown;
  #wake: () => void = () => {};

  constructor(step: string) {
    this.#step = step;
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  put(type: string, object: KubeObject & KubeStatus): void {
    if (type === "ERROR") this.end(new KubeError(this.#step, object.code ?? 500, object));
    else if (!this.#ended) this.#events.push({ type, object } as WatchEvent);
    this.#wake();
  }

  /** The first end counts. */
  end(error: unknown): void {
    if (!this.#ended) this.#error = asRefusal(this.#step, error);
    this.#ended = true;
    this.#wake();
  }

  async *events(): AsyncGenerator<WatchEvent> {
    for (;;) {
      const events = this.#events;
      this.#events = [];
      yield* events;
      if (this.#events.length > 0) continue;
      if (this.#ended && this.#error !== undefined) throw this.#error;
      if (this.#ended) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

/** client-node reports the status of a refusal, and not its body. */
function asRefusal(step: string, error: unknown): unknown {
  const status = (error as { statusCode?: unknown } | undefined)?.statusCode;
  return typeof status === "number" ? new KubeError(step, status, {}) : error;
}
