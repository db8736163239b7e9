/** Tetragon's numbers of messages, which its metrics have as a label. */
import type { HookSection } from "../../crds/hook-spec.ts";
import type { Labels } from "../../lib/scraped-metrics.ts";

/** The message that stands for each kind of record. */
export const MESSAGES = {
  exec: "5",
  exit: "7",
  kprobe: "13",
  tracepoint: "14",
  lsm: "16",
  fork: "23",
  cgroup: "25",
} as const;

export type Message = keyof typeof MESSAGES;

/** Message of the records of a section's hooks. */
export function hookMessage(section: HookSection): Message {
  if (section === "lsmhooks") return "lsm";
  return section === "tracepoints" ? "tracepoint" : "kprobe";
}

/** A count that is raised in place. */
export interface Count {
  count: number;
}

/** Records that were read, by message. */
export class MessageCounts {
  readonly #counts = Object.entries(MESSAGES).map(([message, number]) => ({
    message: message as Message,
    labels: { msg_op: number } satisfies Labels,
    count: 0,
  }));

  of(message: Message): Count {
    return this.#counts.find((one) => one.message === message) as Count;
  }

  entries(): readonly { labels: Labels; count: number }[] {
    return this.#counts;
  }
}
