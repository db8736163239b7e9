import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { HookSpec } from "../crds/hook-spec.ts";
import { encodeHookSpec, hookSpecHash, parseHookSpec } from "../crds/hook-spec-codec.ts";
import { type CompileResult, compileParsed, compilePolicy } from "./compile.ts";
import { parsePolicies } from "./parse.ts";
import type { PolicyError } from "./problems.ts";
import { collectParts, graft, makeRandom, mutate, pick, type Random } from "./testing/mutations.ts";

const EXAMPLES = join(import.meta.dirname, "../crds/examples");
const TEXTS = ["valid", "invalid", "library", "compat"].flatMap((directory) =>
  readdirSync(join(EXAMPLES, directory)).map((name) => readFileSync(join(EXAMPLES, directory, name), "utf8")),
);
const OBJECTS = TEXTS.flatMap((text) => {
  try {
    return [parse(text) as unknown];
  } catch {
    return [];
  }
}).filter((object) => typeof object === "object" && object !== null);

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

/** What was accepted of some rounds: the policies, and what their specs have. */
function compileMutants(seed: number, rounds: number, make: (random: Random) => unknown): Set<string>[] {
  const random = makeRandom(seed);
  const accepted: Set<string>[] = [];
  for (let round = 0; round < rounds; round++) {
    const object = make(random);
    try {
      const result = compilePolicy(object);
      if (checkResult(result) && result.ok) accepted.push(featuresOf(result.spec));
    } catch (cause) {
      throw new Error(`round ${round}: ${JSON.stringify(object)}`, { cause });
    }
  }
  return accepted;
}

/** The kinds of hooks, filters and actions of a spec. */
function featuresOf({ hooks }: HookSpec): Set<string> {
  const features = new Set<string>();
  for (const { section, args, returnArg, selectors } of hooks) {
    features.add(section);
    if (returnArg) features.add("returnArg");
    for (const arg of args) for (const member of Object.keys(arg)) features.add(member);
    for (const { filters, actions, returnFilters = [], returnActions = [] } of selectors) {
      if (returnActions.length > 0) features.add("returnActions");
      for (const filter of [...filters, ...returnFilters])
        features.add("compare" in filter ? `${filter.match} ${filter.compare}` : filter.match);
      for (const { action } of actions) features.add(action);
    }
  }
  return features;
}

const FEATURES = [
  ...["kprobes", "fentries", "tracepoints", "lsmhooks", "returnArg", "returnActions"],
  ...["label", "resolve", "source", "btfType", "returnCopy", "maxData", "sizeArgIndex"],
  ...["pid", "namespace", "namespaceChange", "capability", "capabilityChange", "currentCred", "credChange"],
  ...["binary equal", "binary prefix", "arg range", "arg mask", "arg text", "arg gained", "arg fileType"],
  ...["return range", "Post", "NoPost", "Sigkill", "Signal", "Override"],
];

describe("compilePolicy never throws, every error has a path, and an agent takes what it accepts", () => {
  const ROUNDS = 3000;

  test.each([20261124, 20261125, 20261126])(
    "of mutated policies, seed %i",
    (seed) => {
      const accepted = compileMutants(seed, ROUNDS, (random) => mutate(random, pick(random, OBJECTS)));
      expect(accepted.length).toBeGreaterThan(ROUNDS / 50);
      expect(accepted.length).toBeLessThan(ROUNDS / 2);
    },
    60_000,
  );

  test.each([1, 2])(
    "of policies with parts of others, every feature among them, seed %i",
    (seed) => {
      const parts = collectParts(OBJECTS);
      const accepted = compileMutants(seed, ROUNDS, (random) => {
        const grafted = graft(random, pick(random, OBJECTS), parts);
        return random(2) === 0 ? grafted : mutate(random, grafted);
      });
      expect(accepted.length).toBeGreaterThan(ROUNDS / 10);
      const seen = new Set(accepted.flatMap((features) => [...features]));
      expect(FEATURES.filter((feature) => !seen.has(feature))).toEqual([]);
    },
    60_000,
  );
});

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
