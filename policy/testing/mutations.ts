/** Makes test data: policies with a few places changed, the same ones in every run. */
import { ARGUMENT_TYPES } from "../../crds/argument-types.ts";
import { CURRENT_CAPABILITY_SETS, NAMESPACES } from "../../crds/linux.ts";
import * as words from "../../crds/schema/words.ts";

/** Words that mean something somewhere, and values that are at the edge of something. */
const PIECES: unknown[] = [
  ...ARGUMENT_TYPES,
  ...CURRENT_CAPABILITY_SETS,
  ...NAMESPACES,
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
    "CAP_CHOWN,CAP_KILL",
  ],
  ...[
    "unset",
    "root",
    "KEEP_CAPS",
    "1000:unset",
    "User",
    "regular",
    "current_task",
    "pt_regs",
    "fmod-ret",
    "monitor",
  ],
  ...[
    "euid.val",
    "cred.user_ns.level",
    "gid[3].val",
    "[0]",
    "a..b",
    "struct cred",
    "parent.".repeat(11),
    "/etc/\0",
  ],
  ...[
    "security_capset",
    "security_bprm_committing_creds",
    "task_fix_setuid",
    "list:all",
    "sys_",
    "__x64_sys_setuid",
  ],
  ...[15, 63, 64, 65, -4095, -4096],
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
  ...[
    "matchCurrentCred",
    "matchCredChanges",
    "matchReturnArgs",
    "matchReturnActions",
    "matchNamespaceChanges",
  ],
  ...[
    "resolve",
    "source",
    "returnCopy",
    "sizeArgIndex",
    "btfType",
    "argError",
    "argSig",
    "raw",
    "followChildren",
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

const KEPT = ["kind", "apiVersion", "name"];

/** Keys by which a selector, a probe and an argument are recognised. */
const SIBLINGS: readonly (readonly string[])[] = [
  [
    "matchActions",
    "matchArgs",
    "matchBinaries",
    "matchCapabilities",
    "matchCapabilityChanges",
    "matchCredChanges",
    "matchCurrentCred",
    "matchData",
    "matchNamespaceChanges",
    "matchNamespaces",
    "matchParentBinaries",
    "matchReturnActions",
    "matchReturnArgs",
  ],
  ["call", "syscall", "return", "returnArg", "args", "data", "selectors"],
  ["type", "index", "resolve", "source", "returnCopy", "maxData", "sizeArgIndex", "btfType"],
];

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

/** Parts of policies by the key that they stand under, so that one policy's filter gets into another's selector. */
export function collectParts(policies: readonly unknown[]): Map<string, unknown[]> {
  const parts = new Map<string, unknown[]>();
  for (const place of policies.flatMap((policy) => containers(policy))) {
    if (Array.isArray(place)) continue;
    for (const [key, value] of Object.entries(place)) parts.set(key, [...(parts.get(key) ?? []), value]);
  }
  return parts;
}

/** A copy in which parts of other policies stand in the places of some, or beside them. */
export function graft(random: Random, original: unknown, parts: ReadonlyMap<string, unknown[]>): unknown {
  const copy = structuredClone(original);
  for (let changes = 1 + random(2); changes > 0; changes--) {
    const places = containers(copy).filter((place) => !Array.isArray(place));
    const place = pick(random, places);
    const siblings = SIBLINGS.find((keys) => keys.some((key) => Object.hasOwn(place, key)));
    const key = pick(random, siblings && random(2) > 0 ? siblings : Object.keys(place));
    const found = parts.get(key);
    if (found && !KEPT.includes(key)) place[key] = structuredClone(pick(random, found));
  }
  return copy;
}

function replaceAlike(random: Random, place: Node): void {
  const keys = Object.keys(place).filter((key) => !KEPT.includes(key));
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
