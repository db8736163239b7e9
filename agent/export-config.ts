/** The part of the settings that is about the export. */
import type { Rotation } from "./events/export/rotation.ts";
import { compileFilters } from "./events/filters/compile.ts";
import { compileFieldFilters, type FieldFilter } from "./events/filters/fields.ts";
import { type Filter, FilterError } from "./events/filters/filter.ts";
import { parseFieldFilter, parseFilter, parseRedactionFilter } from "./events/filters/json.ts";
import type { OptionName } from "./options.ts";
import { compileRedaction, RedactionError, type RedactionFilter } from "./process/redaction.ts";
import { type Settings, UsageError } from "./settings.ts";

/** What is exported and where to. */
export interface ExportConfig {
  /** Absent: standard output. */
  filename?: string;
  mode: number;
  rotation: Rotation;
  allow: readonly Filter[];
  deny: readonly Filter[];
  fields: readonly FieldFilter[];
  /** Events per minute; absent: no limit. */
  rateLimit?: number;
}

/** Throws UsageError. */
export function makeExportConfig(settings: Settings): ExportConfig {
  const filename = settings.text("export-filename");
  const rateLimit = integer(settings, "export-rate-limit", -1);
  return {
    ...(filename !== undefined && { filename }),
    mode: parseMode(settings),
    rotation: {
      maxBytes: integer(settings, "export-file-max-size-mb", 10) * (1 << 20),
      intervalMs: parseDuration(settings, "export-file-rotation-interval"),
      maxBackups: integer(settings, "export-file-max-backups", 5),
      compress: settings.isOn("export-file-compress"),
    },
    allow: readFilters(settings, "export-allowlist"),
    deny: readFilters(settings, "export-denylist"),
    fields: readFieldFilters(settings),
    ...(rateLimit >= 0 && { rateLimit }),
  };
}

/** -1 is the only negative number that any of the options takes. */
function integer(settings: Settings, name: OptionName, fallback: number): number {
  const text = settings.text(name) ?? String(fallback);
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) || (value === -1 && fallback === -1)) return value;
  throw new UsageError(`${settings.origin(name)}: "${text}" is not a whole number, for example ${fallback}`);
}

function parseMode(settings: Settings): number {
  const text = settings.text("export-file-perm") ?? "600";
  if (/^0?[0-7]{3}$/.test(text)) return Number.parseInt(text, 8);
  const origin = settings.origin("export-file-perm");
  throw new UsageError(`${origin}: "${text}" is not a mode in octal digits, for example 600 or 640`);
}

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** As Go writes durations. */
function parseDuration(settings: Settings, name: OptionName): number {
  const text = settings.text(name) ?? "0";
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (text !== "0" && (text === "" || parts.map(([part]) => part).join("") !== text)) {
    throw new UsageError(`${settings.origin(name)}: "${text}" is not a duration, for example 24h or 1h30m`);
  }
  return parts.reduce(
    (sum, [, digits, unit]) => sum + Number(digits) * UNIT_MS[unit as keyof typeof UNIT_MS],
    0,
  );
}

function readFilters(settings: Settings, name: "export-allowlist" | "export-denylist"): Filter[] {
  const filters = parseLines(settings, name, parseFilter);
  check(settings, name, () => compileFilters(filters, [], () => () => false));
  return filters;
}

function readFieldFilters(settings: Settings): FieldFilter[] {
  const filters = parseLines(settings, "field-filters", parseFieldFilter);
  check(settings, "field-filters", () => compileFieldFilters(filters));
  return filters;
}

/** Throws UsageError. */
export function readRedactionFilters(settings: Settings): RedactionFilter[] {
  const filters = parseLines(settings, "redaction-filters", parseRedactionFilter);
  check(settings, "redaction-filters", () => compileRedaction(filters));
  return filters;
}

/** The place in a FilterError is one in a list; in a setting it is a line. */
function check(settings: Settings, name: OptionName, compile: () => void): void {
  try {
    compile();
  } catch (error) {
    if (!(error instanceof FilterError || error instanceof RedactionError)) throw error;
    const text = error.message.replace(/^\w+\[(\d+)\]\.?/, (_, index) => `filter ${Number(index) + 1}: `);
    throw new UsageError(`${settings.origin(name)}: ${text}`);
  }
}

/** One filter per line. */
function parseLines<T>(settings: Settings, name: OptionName, parse: (line: string) => T): T[] {
  return (settings.text(name) ?? "").split("\n").flatMap((line, index) => {
    try {
      return line.trim() === "" ? [] : [parse(line)];
    } catch (error) {
      throw new UsageError(`${settings.origin(name)}: line ${index + 1}: ${(error as Error).message}`);
    }
  });
}
