/** `trigon events` and `trigon getevents`: events of the agent, of an export file or of the standard input. */
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout } from "node:timers/promises";
import type { ConnectionFlags } from "../connection.ts";
import { EXIT, type LiveStreams, UsageError } from "../streams.ts";
import { type CompactEvent, compactLine } from "./compact.ts";
import { openEvents } from "./files.ts";
import { eventsRequest, eventTest, type Selection, sinceMs } from "./selection.ts";
import { COLOURED, PLAIN, TETRA_COLOURED, TETRA_PLAIN } from "./style.ts";
import { type TetraOptions, tetraLines } from "./tetra.ts";

/** The flags. */
export interface EventsOptions extends Selection, ConnectionFlags {
  output: "compact" | "json";
  color: "auto" | "always" | "never";
  since?: string;
  reconnect?: boolean;
  /** Seconds. */
  reconnectWait: number;
  /** Compact lines as tetra prints them; undefined: our own. */
  tetra?: TetraOptions;
}

type Event = Record<string, unknown>;

/** Prints events until they end; `file` is a path, `-` for the standard input, or absent for the agent. */
export async function events(
  file: string | undefined,
  options: EventsOptions,
  streams: LiveStreams,
): Promise<number> {
  const show = presentation(options, streams);
  if (file === undefined) await showLive(options, streams, show);
  else await showLines(file === "-" ? streams.input : openEvents(file), options, streams, show);
  return EXIT.ok;
}

/** The line of an event; `text` is its JSON where there is one already. */
type Show = (event: Event, text?: string) => string | undefined;

function presentation({ output, color, tetra }: EventsOptions, { isTerminal }: LiveStreams): Show {
  if (output === "json") return (event, text) => text ?? JSON.stringify(event);
  const isColoured = color === "always" || (color === "auto" && isTerminal);
  if (tetra) return (event) => tetraLines(event, isColoured ? TETRA_COLOURED : TETRA_PLAIN, tetra);
  return (event) => compactLine(event as CompactEvent, isColoured ? COLOURED : PLAIN);
}

async function showLive(options: EventsOptions, streams: LiveStreams, show: Show): Promise<void> {
  if (options.since !== undefined) {
    throw new UsageError("--since: the agent streams events from now on; name a file with exported events");
  }
  const request = eventsRequest(options);
  const [{ AgentClient, CallFailure }, { connectionOf }] = await Promise.all([
    import("../client.ts"),
    import("../connection.ts"),
  ]);
  for (;;) {
    const client = new AgentClient(connectionOf(options), 0);
    try {
      for await (const event of client.events(request, streams.signal)) await print(show(event), streams);
      if (!options.reconnect || streams.signal.aborted) return;
    } catch (error) {
      if (!options.reconnect || !(error instanceof CallFailure && error.isTemporary)) throw error;
      streams.err(`trigon: ${error.message}`);
    } finally {
      client.close();
    }
    await setTimeout(options.reconnectWait * 1000, undefined, { signal: streams.signal }).catch(() => {});
    if (streams.signal.aborted) return;
  }
}

async function showLines(
  input: Readable,
  options: EventsOptions,
  streams: LiveStreams,
  show: Show,
): Promise<void> {
  const isWanted = eventTest(options);
  const start = options.since === undefined ? Number.NEGATIVE_INFINITY : sinceMs(options.since, Date.now());
  let others = 0;
  for await (const line of linesOf(input)) {
    if (streams.signal.aborted) break;
    const event = parseEvent(line);
    if (!event) others++;
    else if (isWanted(event) && !(timeOf(event) < start)) await print(show(event, line), streams);
  }
  if (others > 0)
    streams.err(`trigon: ${others} ${others === 1 ? "line is no event" : "lines are no events"}`);
}

async function* linesOf(input: Readable): AsyncGenerator<string> {
  const failed = new Promise<never>((_resolve, reject) => input.once("error", reject));
  failed.catch(() => {});
  const lines = createInterface({ input })[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await Promise.race([lines.next(), failed]);
    if (done) return;
    if (value.trim() !== "") yield value;
  }
}

/** Undefined for lines that are no event, such as those of the agent's log beside it. */
function parseEvent(line: string): Event | undefined {
  try {
    const value = JSON.parse(line) as unknown;
    const isEvent = typeof value === "object" && value !== null && "time" in value;
    return isEvent && Object.keys(value).some((name) => EVENT_FIELD.test(name))
      ? (value as Event)
      : undefined;
  } catch {
    return undefined;
  }
}

const EVENT_FIELD = /^process_|^rate_limit_info$|^test$/;

function timeOf({ time }: Event): number {
  return Date.parse(String(time));
}

async function print(line: string | undefined, streams: LiveStreams): Promise<void> {
  if (line === undefined) return;
  streams.out(line);
  await streams.drained();
}
