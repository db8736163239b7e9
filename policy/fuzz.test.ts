import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { encodeHookSpec, hookSpecHash, parseHookSpec } from "../crds/hook-spec.ts";
import * as words from "../crds/schema/words.ts";
import { type CompileResult, compileParsed, compilePolicy } from "./compile.ts";
import { parsePolicies } from "./parse.ts";
import type { PolicyError } from "./problems.ts";

const EXAMPLES = join(import.meta.dirname, "../crds/examples");
const TEXTS = ["valid", "invalid"].flatMap((directory) =>
  readdirSync(join(EXAMPLES, directory)).map((name) => readFileSync(join(EXAMPLES, directory, name), "utf8")),
);
const OBJECTS = TEXTS.flatMap((text) => {
  try {
    return [parse(text) as unknown];
  } catch {
    return [];
  }
}).filter((object) => typeof object === "object" && object !== null);

/** Words that mean something somewhere, and values that are at the edge of something. */
const PIECES: unknown[] = [
  ...Object.values(words).flat(),
  ...[
    "",
    " ",
    "-1",
    "0",
    "1",
    "4294967295",
    "4294967296",
    "18446744073709551616",
    "0x",
    "08",
    "1:2",
    "2:1",
    ":",
  ],
  ...[
    "host_ns",
    "list:uid-calls",
    "list:",
    "list:nothing",
    "sys_setuid",
    "commit_creds",
    "1m",
    "1d",
    "CAP_BPF",
  ],
  ...["__proto__", "constructor", "toString", "\0", "é".repeat(300), "x".repeat(5000), "/bin/su", "enforce"],
  ...[0, 1, -1, 4, 5, 2 ** 31, -(2 ** 31), 2 ** 53, 1.5, Number.NaN, Number.POSITIVE_INFINITY],
  ...[true, false, null, undefined, [], {}, [[]], [null], { a: 1 }],
  ...[
    "return",
    "data",
    "matchData",
    "matchCapabilities",
    "values",
    "operator",
    "args",
    "index",
    "type",
    "syscall",
  ],
];

const KEYS = PIECES.filter((piece) => typeof piece === "string");

/** xorshift32: the same mutations in every run. */
function makeRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

type Random = (below: number) => number;

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)] as T;
}

type Node = Record<string, unknown>;

/** Every object and list inside of a value. */
function containers(value: unknown, found: Node[] = []): Node[] {
  if (typeof value !== "object" || value === null) return found;
  found.push(value as Node);
  for (const member of Object.values(value)) containers(member, found);
  return found;
}

/** Mostly a key that is there; lists have indices only. */
function pickKey(random: Random, place: Node): string {
  const keys = Object.keys(place);
  if (Array.isArray(place)) return String(random(keys.length + 1));
  return keys.length > 0 && random(4) > 0 ? pick(random, keys) : pick(random, KEYS);
}

/** A copy with one to four places changed, most of them to something of the same type: that gets past the schema. */
function mutate(random: Random, original: unknown): unknown {
  const copy = structuredClone(original);
  for (let changes = 1 + random(4); changes > 0; changes--) {
    const places = containers(copy);
    const place = pick(random, places);
    if (random(4) > 0) replaceAlike(random, place);
    else replaceAnything(random, place, places);
  }
  return copy;
}

function replaceAlike(random: Random, place: Node): void {
  const keys = Object.keys(place).filter((key) => !["kind", "apiVersion", "name"].includes(key));
  if (keys.length === 0) return;
  const key = pick(random, keys);
  const alike = PIECES.filter((piece) => typeof piece === typeof place[key] && typeof piece !== "object");
  if (alike.length > 0) place[key] = pick(random, alike);
}

function replaceAnything(random: Random, place: Node, places: Node[]): void {
  const key = pickKey(random, place);
  if (key === "__proto__") return;
  const change = random(5);
  if (change === 0) delete place[key];
  else if (change === 1) place[key] = structuredClone(pick(random, places));
  else if (change === 2 && Object.hasOwn(place, key)) place[`${key}s`] = place[key];
  else place[key] = structuredClone(pick(random, PIECES));
}

/** A text with a few characters changed, or lines moved. */
function garble(random: Random, original: string): string {
  let text = original;
  for (let changes = 1 + random(3); changes > 0; changes--) {
    const at = random(text.length + 1);
    const end = Math.min(text.length, at + random(12));
    const inserts = [
      "",
      ":",
      "- ",
      "\n",
      "  ",
      "&a ",
      "*a",
      "[",
      "}",
      '"',
      "#",
      "\t",
      "!!int ",
      "---\n",
      "? ",
      "|",
      "0x1",
    ];
    text = text.slice(0, at) + pick(random, inserts) + text.slice(random(2) === 0 ? at : end);
  }
  return text;
}

const PATH = /^(?:[\w-]+|\["(?:[^"\\]|\\.)*"\])(?:\.[\w-]+|\[\d+\]|\["(?:[^"\\]|\\.)*"\])*$/s;

function checkErrors(errors: PolicyError[], wholeDocument: boolean): void {
  for (const { path, message } of errors) {
    if (message.length < 5 || /undefined|\[object/.test(message)) throw new Error(`${path}: ${message}`);
    if (!(PATH.test(path) || (path === "" && wholeDocument))) throw new Error(`no path: ${path}: ${message}`);
  }
}

/** Counts what was accepted, and fails unless an agent would take it. */
function checkResult(result: CompileResult): boolean {
  checkErrors(result.warnings, false);
  if (!result.ok) {
    if (result.errors.length === 0) throw new Error("refused without an error");
    checkErrors(result.errors, false);
    return false;
  }
  const parsed = parseHookSpec(encodeHookSpec(result.spec));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  if (hookSpecHash(parsed.spec) !== result.hash) throw new Error("the hash does not survive the transport");
  return true;
}

test("compilePolicy never throws, every error has a path, and an agent takes what it accepts", () => {
  const random = makeRandom(20261124);
  let accepted = 0;
  const rounds = 10_000;
  for (let round = 0; round < rounds; round++) {
    const object = mutate(random, pick(random, OBJECTS));
    try {
      if (checkResult(compilePolicy(object))) accepted++;
    } catch (cause) {
      throw new Error(`round ${round}: ${JSON.stringify(object)}`, { cause });
    }
  }
  expect(accepted).toBeGreaterThan(rounds / 50);
  expect(accepted).toBeLessThan(rounds / 2);
}, 60_000);

test("parsePolicies never throws, and every error has a line", () => {
  const random = makeRandom(4711);
  let policies = 0;
  const rounds = 1500;
  for (let round = 0; round < rounds; round++) {
    const text = garble(random, pick(random, TEXTS));
    try {
      const parsed = parsePolicies(text, "fuzz");
      checkErrors(parsed.errors, true);
      const results = parsed.policies.map((policy) => compileParsed(policy));
      const errors = [...parsed.errors, ...results.flatMap((result) => (result.ok ? [] : result.errors))];
      const lines = text.split(/\r?\n/).length;
      for (const { line = 0, column = 0 } of errors) {
        if (line < 1 || line > lines || column < 1) throw new Error(`line ${line}, column ${column}`);
      }
      policies += results.length;
    } catch (cause) {
      throw new Error(`round ${round}: ${JSON.stringify(text)}`, { cause });
    }
  }
  expect(policies).toBeGreaterThan(rounds / 20);
}, 60_000);
