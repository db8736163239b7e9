/** The settings that are filters. Loaded only where there are some: the parsers come with protobuf's descriptors. */
import { compileFilters } from "./events/filters/compile.ts";
import { compileFieldFilters, type FieldFilter } from "./events/filters/fields.ts";
import { type Filter, FilterError } from "./events/filters/filter.ts";
import { parseFieldFilter, parseFilter, parseRedactionFilter } from "./events/filters/json.ts";
import type { OptionName } from "./options.ts";
import { compileRedaction, RedactionError, type RedactionFilter } from "./process/redaction.ts";
import { type Settings, UsageError } from "./settings.ts";

/** Throws UsageError. */
export function readEventFilters(settings: Settings, name: "export-allowlist" | "export-denylist"): Filter[] {
  const filters = parseLines(settings, name, parseFilter);
  check(settings, name, () => compileFilters(filters, [], () => () => false));
  return filters;
}

/** Throws UsageError. */
export function readFieldFilters(settings: Settings): FieldFilter[] {
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
