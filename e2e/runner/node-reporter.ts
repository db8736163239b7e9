/** Reporter for `node --test --test-reporter=…/node-reporter.ts`. */
import { relative } from "node:path";
import type { TestEvent } from "node:test/reporters";
import { inspect } from "node:util";
import { encodeReport, type TestReport } from "./protocol.ts";

/** The parts of pass and fail events that are needed here. */
interface Outcome {
  name: string;
  nesting: number;
  file?: string;
  skip?: string | boolean;
  todo?: string | boolean;
  details: { duration_ms?: number; type?: string; error?: Error & { failureType?: string; cause?: unknown } };
}

/** Turns the events of one run into report lines; output of the tests passes through. */
export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const names: string[] = [];
  for await (const { type, data } of events) {
    if (type === "test:start") names[data.nesting] = data.name;
    else if (type === "test:stdout" || type === "test:stderr") yield data.message;
    else if (type === "test:pass" || type === "test:fail") {
      const outcome = describeOutcome(type, data as Outcome, names);
      if (outcome) yield encodeReport(outcome);
    }
  }
}

function describeOutcome(
  type: "test:pass" | "test:fail",
  data: Outcome,
  names: string[],
): TestReport | undefined {
  const { details, skip, todo } = data;
  // Its failed tests have been reported. Otherwise a suite fails only if one of its hooks does.
  if (type === "test:fail" && details.error?.failureType === "subtestsFailed") return undefined;
  if (type === "test:pass" && details.type === "suite" && !skip) return undefined;
  const file = data.file ? relative(process.cwd(), data.file) : "";
  const name = [...names.slice(0, data.nesting), data.name].join(" > ");
  const base = { file, name, ms: Math.round(details.duration_ms ?? 0) };
  const reason = skip ?? todo;
  if (reason !== undefined && reason !== false) {
    return { ...base, state: "skipped", ...(typeof reason === "string" ? { detail: reason } : {}) };
  }
  return type === "test:pass"
    ? { ...base, state: "passed" }
    : { ...base, state: "failed", detail: describeError(details.error) };
}

function describeError(error: Outcome["details"]["error"]): string {
  const cause = error?.cause ?? error;
  return typeof cause === "string" ? cause : inspect(cause, { depth: 4 });
}
