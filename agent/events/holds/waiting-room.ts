/** Queues of events that wait, in order, for a bounded time; their number is bounded. */

/** Waits in one queue per key; `key` is a container or a process. */
export interface Waiting<T> {
  key: string;
  deadlineMs: number;
  items: T[];
}

/** Queues by key with a common bound. */
export class WaitingRoom<T> {
  readonly #queues = new Map<string, Waiting<T>>();
  readonly #maxItems: number;
  #count = 0;

  constructor(maxItems: number) {
    this.#maxItems = maxItems;
  }

  /** Events that wait. */
  get count(): number {
    return this.#count;
  }

  /** False when there is no room. The deadline is that of the queue's first item. */
  add(key: string, item: T, deadlineMs: number): boolean {
    if (this.#count >= this.#maxItems) return false;
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      queue = { key, deadlineMs, items: [] };
      this.#queues.set(key, queue);
    }
    queue.items.push(item);
    this.#count++;
    return true;
  }

  /** Removes a queue and returns its items. */
  take(key: string): T[] {
    const queue = this.#queues.get(key);
    if (queue === undefined) return [];
    this.#queues.delete(key);
    this.#count -= queue.items.length;
    return queue.items;
  }

  /** The item that has waited longest in a queue. */
  first(key: string): T | undefined {
    return this.#queues.get(key)?.items[0];
  }

  /** The first item of each queue. */
  heads(): { key: string; first: T }[] {
    return [...this.#queues.values()].map(({ key, items }) => ({ key, first: items[0] as T }));
  }

  /** Keys of queues whose time is over, oldest first. */
  overdue(nowMs: number): string[] {
    return [...this.#queues.values()].filter(({ deadlineMs }) => deadlineMs <= nowMs).map(({ key }) => key);
  }

  /** Keys of all queues. */
  keys(): string[] {
    return [...this.#queues.keys()];
  }
}
