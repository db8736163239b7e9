/** Which events are shown: as a request to the agent, and as a test of events that come from a file. Pure. */
import { RE2JS } from "re2js";
import { UsageError } from "../streams.ts";

/** What the flags select; all that are given must hold, one value of each is enough. */
export interface Selection {
  namespace?: string[];
  namespaceRegex?: string[];
  /** Only processes outside of pods. */
  host?: boolean;
  pod?: string[];
  process?: string[];
  /** Patterns of names of containers. */
  containers?: string[];
  policy?: string[];
  eventTypes?: string[];
  celExpression?: string[];
  includeFields?: string[];
  excludeFields?: string[];
}

const EVENT_TYPES = [
  "exec",
  "exit",
  "kprobe",
  "tracepoint",
  "loader",
  "uprobe",
  "throttle",
  "lsm",
  "usdt",
].map((name) => `PROCESS_${name.toUpperCase()}`);

/** Names of EventType: `PROCESS_EXEC`, `process_exec` and `exec` are one. */
function eventTypes(names: readonly string[] = []): string[] {
  return names.map((name) => {
    const upper = name.toUpperCase();
    const found = [...EVENT_TYPES, "RATE_LIMIT_INFO", "TEST"].find(
      (type) => type === upper || type === `PROCESS_${upper}`,
    );
    if (found) return found;
    throw new UsageError(`--event-types: ${name} is none of ${EVENT_TYPES.join(", ")}`);
  });
}

/** Namespaces of a Filter, where the empty one stands for processes outside of pods. */
function namespaces({ namespace = [], host = false }: Selection): string[] {
  return host ? [...namespace, ""] : namespace;
}

/** A GetEventsRequest in its JSON form. */
export function eventsRequest(selection: Selection): object {
  const filter = Object.entries({
    namespace: namespaces(selection),
    namespace_regex: selection.namespaceRegex ?? [],
    pod_regex: selection.pod ?? [],
    binary_regex: selection.process ?? [],
    container_name_regex: selection.containers ?? [],
    policy_names: selection.policy ?? [],
    event_set: eventTypes(selection.eventTypes),
    cel_expression: selection.celExpression ?? [],
  }).filter(([, values]) => values.length > 0);
  const fields = [
    ...fieldFilter("INCLUDE", selection.includeFields),
    ...fieldFilter("EXCLUDE", selection.excludeFields),
  ];
  return {
    ...(filter.length > 0 && { allow_list: [Object.fromEntries(filter)] }),
    ...(fields.length > 0 && { field_filters: fields }),
  };
}

/** A FieldMask has its paths in lowerCamelCase in JSON. */
function fieldFilter(action: string, fields: readonly string[] = []): object[] {
  const paths = fields.map((path) =>
    path.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase()),
  );
  return paths.length === 0 ? [] : [{ action, fields: paths.join(",") }];
}

interface EventBody {
  process?: { binary?: string; pod?: { namespace?: string; name?: string; container?: { name?: string } } };
  policy_name?: string;
}

type EventTest = (type: string, body: EventBody) => boolean;

/** Whether an event of a file is shown. Throws UsageError for what only the agent can evaluate. */
export function eventTest(selection: Selection): (event: Record<string, unknown>) => boolean {
  for (const [flag, values] of Object.entries({
    "--cel-expression": selection.celExpression,
    "--include-fields": selection.includeFields,
    "--exclude-fields": selection.excludeFields,
  })) {
    if (values?.length) throw new UsageError(`${flag}: the agent evaluates it; it does not work on a file`);
  }
  const tests = fieldTests(selection);
  return (event) => {
    const [field, body] =
      Object.entries(event).find(([name]) => /^process_|^rate_limit_info$|^test$/.test(name)) ?? [];
    return field !== undefined && tests.every((test) => test(field.toUpperCase(), body as EventBody));
  };
}

function fieldTests(selection: Selection): EventTest[] {
  const types = eventTypes(selection.eventTypes);
  return [
    ...oneOf(types, (type) => type),
    ...oneOf(namespaces(selection), (_type, { process }) => process?.pod?.namespace ?? ""),
    ...oneOf(selection.policy, (_type, { policy_name }) => policy_name),
    ...patterns("--namespace-regex", selection.namespaceRegex, ({ process }) => process?.pod?.namespace),
    ...patterns("--pod", selection.pod, ({ process }) => process?.pod?.name),
    ...patterns("--containers", selection.containers, ({ process }) => process?.pod?.container?.name),
    ...patterns("--process", selection.process, ({ process }) => process?.binary),
  ];
}

function oneOf(
  wanted: readonly string[] = [],
  value: (type: string, body: EventBody) => string | undefined,
): EventTest[] {
  return wanted.length === 0 ? [] : [(type, body) => wanted.some((one) => one === value(type, body))];
}

/** RE2, as the agent's filters. */
function patterns(
  flag: string,
  texts: readonly string[] = [],
  value: (body: EventBody) => string | undefined,
): EventTest[] {
  if (texts.length === 0) return [];
  const compiled = texts.map((text) => compilePattern(flag, text));
  return [(_type, body) => compiled.some((pattern) => pattern.test(value(body) ?? ""))];
}

function compilePattern(flag: string, text: string): RE2JS {
  try {
    return RE2JS.compile(text);
  } catch (error) {
    throw new UsageError(`${flag}: "${text}" is no RE2 pattern: ${(error as Error).message}`);
  }
}

const UNITS_MS: Readonly<Record<string, number>> = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 };

/** Milliseconds since the epoch of `90s`, `10m`, `2h`, `1d` before now, or of an RFC 3339 time. */
export function sinceMs(text: string, nowMs: number): number {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text) ?? [];
  if (digits !== undefined) return nowMs - Number(digits) * (UNITS_MS[unit] ?? 0);
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time))
    throw new UsageError(`--since: ${text} is neither a duration such as 10m nor an RFC 3339 time`);
  return time;
}
