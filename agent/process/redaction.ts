/** Hides secrets in the arguments of processes. */
import { RE2JS } from "re2js";

/** What is hidden, as upstream's RedactionFilter in the JSON form of protobuf. */
export interface RedactionFilter {
  /** Binaries that it is for; empty or absent means all. */
  binary_regex?: string[];
  /** What the groups of these patterns match is hidden. */
  redact?: string[];
}

/** Returns the arguments of a binary without what must not be seen. */
export type Redact = (binary: string, text: string) => string;

/** Thrown for a filter that cannot be used; the message begins with its place: `redaction_filters[0].redact[1]`. */
export class RedactionError extends Error {
  override readonly name = "RedactionError";
}

const HIDDEN = "*****";

/** RE2, because arguments come from anybody: no pattern takes more than linear time. Undefined: nothing is hidden. */
export function compileRedaction(filters: readonly RedactionFilter[]): Redact | undefined {
  if (filters.length === 0) return undefined;
  const redactions = filters.map((filter, index) => compileFilter(filter, `redaction_filters[${index}]`));
  return (binary, text) => redactions.reduce((hidden, redact) => redact(binary, hidden), text);
}

function compileFilter({ binary_regex = [], redact = [] }: RedactionFilter, path: string): Redact {
  if (redact.length === 0) throw new RedactionError(`${path}.redact: has no pattern`);
  const binaries = binary_regex.map((text, index) => compilePattern(text, `${path}.binary_regex[${index}]`));
  const patterns = redact.map((text, index) => compileHiding(text, `${path}.redact[${index}]`));
  return (binary, text) => {
    const isMeant = binaries.length === 0 || binaries.some((pattern) => pattern.matcher(binary).find());
    return isMeant ? patterns.reduce(hideGroups, text) : text;
  };
}

function compileHiding(text: string, path: string): RE2JS {
  const pattern = compilePattern(text, path);
  if (pattern.groupCount() > 0) return pattern;
  throw new RedactionError(
    `${path}: "${text}" has no group and hides nothing: for example --password=(\\S+)`,
  );
}

function compilePattern(text: string, path: string): RE2JS {
  try {
    return RE2JS.compile(text);
  } catch (error) {
    throw new RedactionError(`${path}: "${text}" is no RE2 pattern: ${(error as Error).message}`);
  }
}

/** Groups within a group that is hidden go with it. */
function hideGroups(text: string, pattern: RE2JS): string {
  const matcher = pattern.matcher(text);
  let hidden = "";
  let end = 0;
  while (matcher.find()) {
    for (let group = 1; group <= matcher.groupCount(); group++) {
      const start = matcher.start(group);
      if (start < end) continue; // also -1, of a group that took no part
      hidden += text.slice(end, start) + HIDDEN;
      end = matcher.end(group);
    }
  }
  return hidden + text.slice(end);
}
