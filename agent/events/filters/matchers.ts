/** What each kind of filter value matches; made once per filter. */
import { RE2JS } from "re2js";
import type { Mask } from "../../records/decode-exec.ts";
import { CAPABILITY_NAMES } from "../json/capabilities.ts";
import { type CapabilitySetFilter, FilterError } from "./filter.ts";

/** Whether a text is one that is looked for. */
export type TextTest = (text: string) => boolean;

/** True if one of the RE2 patterns is found in the text. */
export function patterns(texts: readonly string[], path: string): TextTest {
  const compiled = texts.map((text, index) => compilePattern(text, `${path}[${index}]`));
  return (text) => compiled.some((pattern) => pattern.test(text));
}

function compilePattern(text: string, path: string): RE2JS {
  try {
    return RE2JS.compile(text);
  } catch (error) {
    throw new FilterError(path, `"${text}" is no RE2 pattern: ${(error as Error).message}`);
  }
}

/** Whether the labels of a pod are selected. */
export type LabelTest = (labels: Readonly<Record<string, string>>) => boolean;

/** True if one of the label selectors selects the labels. */
export function labelSelectors(texts: readonly string[], path: string): LabelTest {
  const selectors = texts.map((text, index) => parseSelector(text, `${path}[${index}]`));
  return (labels) => selectors.some((requirements) => requirements.every((holds) => holds(labels)));
}

const KEY = "[A-Za-z0-9](?:[-A-Za-z0-9_./:]*[A-Za-z0-9])?";
const VALUE = "[-A-Za-z0-9_.]*";
const SET = new RegExp(String.raw`^(${KEY})\s+(in|notin)\s*\(([^()]*)\)$`);
const EQUAL = new RegExp(String.raw`^(${KEY})\s*(==?|!=)\s*(${VALUE})$`);
const EXISTS = new RegExp(String.raw`^(!?)\s*(${KEY})$`);

/** `a=b,c!=d,e in (f,g),h notin (i),j,!k`; a label that is absent is unequal to every value. */
function parseSelector(text: string, path: string): LabelTest[] {
  const requirements = text.split(/,(?![^()]*\))/).map((part) => part.trim());
  return requirements
    .filter((part) => part !== "")
    .map((part) => {
      const holds = parseSet(part) ?? parseEqual(part) ?? parseExists(part);
      if (!holds)
        throw new FilterError(path, `"${part}" is no label selector, such as app=web or tier in (a,b)`);
      return holds;
    });
}

function parseSet(text: string): LabelTest | undefined {
  const [, key, operator, list] = SET.exec(text) ?? [];
  if (key === undefined || list === undefined) return undefined;
  const values = list.split(",").map((value) => value.trim());
  return operator === "in"
    ? (labels) => labels[key] !== undefined && values.includes(labels[key])
    : (labels) => labels[key] === undefined || !values.includes(labels[key]);
}

function parseEqual(text: string): LabelTest | undefined {
  const [, key, operator, value] = EQUAL.exec(text) ?? [];
  if (key === undefined) return undefined;
  return operator === "!=" ? (labels) => labels[key] !== value : (labels) => labels[key] === value;
}

function parseExists(text: string): LabelTest | undefined {
  const [, not, key] = EXISTS.exec(text) ?? [];
  if (key === undefined) return undefined;
  return (labels) => (labels[key] !== undefined) === (not === "");
}

/** Whether a set of capabilities is one that is looked for. */
export type MaskTest = (mask: Mask) => boolean;

/** True if every condition on the set holds. */
export function capabilitySet(filter: CapabilitySetFilter, path: string): MaskTest {
  const conditions = Object.entries(filter).flatMap(([name, list]) => {
    if (list.length === 0) return [];
    const wanted = maskOf(list, `${path}.${name}`);
    return [CONDITIONS[name as keyof typeof CONDITIONS](wanted)];
  });
  return ([low, high]) => {
    const mask = (BigInt(high) << 32n) | BigInt(low);
    return conditions.every((holds) => holds(mask));
  };
}

const CONDITIONS: Record<keyof CapabilitySetFilter, (wanted: bigint) => (mask: bigint) => boolean> = {
  any: (wanted) => (mask) => (mask & wanted) !== 0n,
  all: (wanted) => (mask) => (mask & wanted) === wanted,
  exactly: (wanted) => (mask) => mask === wanted,
  none: (wanted) => (mask) => (mask & wanted) === 0n,
};

function maskOf(list: readonly (string | number)[], path: string): bigint {
  return list.reduce<bigint>((mask, item, index) => {
    const bit = typeof item === "number" ? item : capabilityNumber(item);
    if (bit < 0 || bit > 63) throw new FilterError(`${path}[${index}]`, `"${item}" is no capability`);
    return mask | (1n << BigInt(bit));
  }, 0n);
}

/** Number 1 may be written with the prefix that the others have. */
function capabilityNumber(name: string): number {
  return name === "CAP_DAC_OVERRIDE" ? 1 : CAPABILITY_NAMES.indexOf(name);
}
