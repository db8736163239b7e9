/** Filters on credentials: matchCurrentCred, matchCredChanges. */
import { credHookNames, credHookOf } from "../../crds/cred-hooks.ts";
import type { CredChangeField, CurrentCredField, FilterDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { CRED_CHANGE_FIELDS } from "../../crds/schema/words.ts";
import { child, type Problems } from "../problems.ts";
import { quote } from "../suggest.ts";
import type { CredChangeMatch, CurrentCredMatch } from "../types.ts";
import { CURRENT_CRED_FIELDS } from "../values/current-creds.ts";
import { mergeRanges, type Parsed, parseNumber } from "../values/integers.ts";
import { parseSecurebits } from "../values/securebits.ts";
import type { SelectorScope } from "./scope.ts";
import { reportEverything } from "./values.ts";

/** The filter of an entry of matchCurrentCred; several entries must all match. */
export function currentCredFilter(
  match: CurrentCredMatch,
  path: string,
  problems: Problems,
): FilterDef | undefined {
  const { field, operator, values } = match;
  if (values.length === 0) {
    problems.error(`${path}.values`, `is empty: ${operator} needs at least one value`);
    return undefined;
  }
  const spans = values.flatMap((value, index) => {
    const span = operator.endsWith("InRange") ? parseSpan(value, field) : parseSingle(value, field);
    if ("value" in span) return [span.value];
    problems.error(child(`${path}.values`, index), span.error);
    return [];
  });
  if (spans.length < values.length) return undefined;
  const ranges = mergeRanges(spans);
  const most = HOOK_SPEC_LIMITS.ranges;
  if (ranges.length > most)
    problems.error(`${path}.values`, `makes ${ranges.length} ranges: at most ${most} are allowed`);
  const negate = operator.startsWith("Not");
  if (ranges[0]?.[0] === "0" && ranges[0][1] === String(CURRENT_CRED_FIELDS[field].most))
    reportEverything(field, operator, `${path}.values`, problems);
  return { match: "currentCred", negate, field, ranges };
}

function parseSingle(text: string, field: CurrentCredField): Parsed<[bigint, bigint]> {
  const value = parseValue(text, field);
  return "error" in value ? value : { value: [value.value, value.value] };
}

function parseSpan(text: string, field: CurrentCredField): Parsed<[bigint, bigint]> {
  const parts = text.split(":").map((part) => part.trim());
  const [first = "", second = ""] = parts;
  if (parts.length !== 2) return { error: `${quote(text)} is not a range: write min:max, both included` };
  const low = parseValue(first, field);
  if ("error" in low) return low;
  const high = parseValue(second, field);
  if ("error" in high) return high;
  if (low.value > high.value)
    return { error: `${quote(text)} is empty: ${low.value} is above ${high.value}` };
  return { value: [low.value, high.value] };
}

function parseValue(text: string, field: CurrentCredField): Parsed<bigint> {
  const { most, words } = CURRENT_CRED_FIELDS[field];
  if (Object.hasOwn(words, text)) return { value: words[text] ?? 0n };
  const value = parseNumber(text);
  if (value === undefined) {
    if (field === "securebits") return parseSecurebits(text);
    const known = Object.keys(words);
    const or = known.length > 0 ? ` or ${known.join(", ")}` : "";
    return { error: `${quote(text)} is not a value of ${field}: write a number${or}` };
  }
  if (value >= 0n && value <= most) return { value };
  const instead = value === -1n && Object.hasOwn(words, "unset") ? ": write unset" : "";
  return { error: `${text} is out of range of ${field}: 0 to ${most}${instead}` };
}

/** The filter of an entry of matchCredChanges; one of its fields must have changed, several entries must all match. */
export function credChangeFilter(
  match: CredChangeMatch,
  path: string,
  scope: SelectorScope,
  problems: Problems,
): FilterDef | undefined {
  for (const call of scope.calls) {
    const hook = { section: scope.section, call: call.name, syscall: call.syscall };
    if (!credHookOf(hook)) problems.error(path, hookError(call.name, scope));
  }
  if (match.fields.includes("noNewPrivs")) {
    problems.warn(
      `${path}.fields`,
      "noNewPrivs is a flag of the thread, which new credentials do not change: match prctl with 38 (PR_SET_NO_NEW_PRIVS) instead",
    );
  }
  const fields = fieldsOf(match);
  if (fields.length > 0) return { match: "credChange", fields, change: match.change };
  problems.error(`${path}.fields`, "is empty: name fields, or any");
  return undefined;
}

/** In the order of the record, each once. */
function fieldsOf({ fields }: CredChangeMatch): CredChangeField[] {
  return CRED_CHANGE_FIELDS.filter((field) => fields.includes("any") || fields.includes(field));
}

function hookError(call: string, { section }: SelectorScope): string {
  const names = credHookNames(section);
  const of = section === "lsmhooks" ? "LSM hooks" : "functions";
  const right =
    names.length > 0
      ? `${of} that do are ${names.join(", ")}`
      : "functions that do are found among kprobes, fentries and lsmhooks";
  const why =
    call === "security_capset" ? "is called before there are new credentials" : "receives no new credentials";
  return `does not fit ${call}, which ${why}: ${right}`;
}
