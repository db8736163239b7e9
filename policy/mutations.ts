/** Makes test data: policies with a few places changed, the same ones in every run. */
import * as words from "../crds/schema/words.ts";

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
export function makeRandom(seed: number): Random {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** A number from 0 to below the bound. */
export type Random = (below: number) => number;

/** One of the elements. */
export function pick<T>(random: Random, from: readonly T[]): T {
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
export function mutate(random: Random, original: unknown): unknown {
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
