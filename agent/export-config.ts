/** The part of the settings that is about the export. */
import { parseGoDuration } from "../lib/go-duration.ts";
import type { Rotation } from "./events/export/rotation.ts";
import type { FieldFilter } from "./events/filters/fields.ts";
import type { Filter } from "./events/filters/filter.ts";
import type { OptionName } from "./options.ts";
import type { RedactionFilter } from "./process/redaction.ts";
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

/** Rejects with UsageError. */
export async function makeExportConfig(settings: Settings): Promise<ExportConfig> {
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
    ...(await readFilters(settings)),
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

/** In milliseconds. Throws UsageError. */
export function parseDuration(settings: Settings, name: OptionName): number {
  const text = settings.text(name) ?? "0";
  const ms = parseGoDuration(text);
  if (ms !== undefined) return ms;
  throw new UsageError(`${settings.origin(name)}: "${text}" is not a duration, for example 24h or 1h30m`);
}

async function readFilters(settings: Settings): Promise<Pick<ExportConfig, "allow" | "deny" | "fields">> {
  if (!isAnySet(settings, ["export-allowlist", "export-denylist", "field-filters"])) {
    return { allow: [], deny: [], fields: [] };
  }
  const { readEventFilters, readFieldFilters } = await import("./filter-settings.ts");
  return {
    allow: readEventFilters(settings, "export-allowlist"),
    deny: readEventFilters(settings, "export-denylist"),
    fields: readFieldFilters(settings),
  };
}

/** Rejects with UsageError. */
export async function makeRedactionFilters(settings: Settings): Promise<RedactionFilter[]> {
  if (!isAnySet(settings, ["redaction-filters"])) return [];
  const { readRedactionFilters } = await import("./filter-settings.ts");
  return readRedactionFilters(settings);
}

function isAnySet(settings: Settings, names: readonly OptionName[]): boolean {
  return names.some((name) => settings.text(name)?.trim());
}
