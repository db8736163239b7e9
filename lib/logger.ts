/** Logs of operator and agent. They go to stderr, because stdout may carry the event export. */
import { createLogger as createWinston, format, transports, type Logger as WinstonLogger } from "winston";

/** The logger; `logger.child({ component })` returns one for a component. */
export type Logger = WinstonLogger;

/** Options of a logger. */
export interface LoggerOptions {
  component: string;
  level?: "error" | "warn" | "info" | "debug";
  format?: "text" | "json";
}

/** Makes the root logger of a process. */
export function createLogger(options: LoggerOptions): Logger {
  const layout = options.format === "json" ? format.json() : format.printf(formatText);
  return createWinston({
    level: options.level ?? "info",
    defaultMeta: { component: options.component },
    format: format.combine(format.timestamp(), plainErrors(), layout),
    transports: [new transports.Console({ stderrLevels: ["error", "warn", "info", "debug"] })],
  });
}

/** Formats an entry as one line: time, level, component, message, then `key=value` for each other field. */
export function formatText(entry: Record<string, unknown>): string {
  const { timestamp, level, component, message, ...rest } = entry;
  const pairs = Object.entries(rest).map(([key, value]) => ` ${key}=${quoteIfNeeded(value)}`);
  return `${timestamp} ${String(level).toUpperCase()} ${component}: ${message}${pairs.join("")}`;
}

/** The message of an error and of all its causes, outermost first. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `: ${errorText(error.cause)}`;
  return `${error.message || error.name}${cause}`;
}

/** Replaces an Error in the metadata by its message, because JSON would print `{}`. */
const plainErrors = format((entry) => {
  for (const [key, value] of Object.entries(entry)) {
    if (value instanceof Error) entry[key] = errorText(value);
  }
  return entry;
});

function quoteIfNeeded(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text !== undefined && /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}
