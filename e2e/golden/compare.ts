/**
 * Compares two export files of the same load, event by event: `node e2e/golden/compare.ts WANT.jsonl GOT.jsonl`.
 *
 * Values that differ between two runs of one load are replaced first: an exec id by the number of the image among those
 * of its pid; pids, times and namespace inodes by placeholders. Reference counts, node names, policy names and fields
 * that Tetragon does not have are left out. Events of one process are compared in order; the order of events of
 * different processes does not count.
 * Exit status 0: equal; 1: different; 2: usage.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Any JSON value of an event. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };

/** Result of a comparison. */
export interface Comparison {
  /** Events by type in both files. */
  counts: Record<string, { want: number; got: number }>;
  equal: number;
  /** One message per event that differs, is missing or is unexpected. */
  differences: string[];
}

/** Selects the events to compare. */
export interface CompareOptions {
  /** Event types, for example `process_kprobe`; absent: all. */
  types?: string[];
  /** Only events of processes with this flag, for example `inInitTree`. */
  flag?: string;
}

/** Compares the events of two files' texts. */
export function compareEvents(want: string, got: string, options: CompareOptions = {}): Comparison {
  const wanted = readEvents(want, options);
  const gotten = readEvents(got, options);
  const counts: Comparison["counts"] = {};
  for (const { type } of wanted) counts[type] = { want: (counts[type]?.want ?? 0) + 1, got: 0 };
  for (const { type } of gotten) {
    counts[type] = { want: counts[type]?.want ?? 0, got: (counts[type]?.got ?? 0) + 1 };
  }
  const differences: string[] = [];
  let equal = 0;
  const pairs = pairProcesses(groupByProcess(wanted), groupByProcess(gotten));
  for (const [name, wantGroup, gotGroup] of pairs) {
    for (let i = 0; i < Math.max(wantGroup.length, gotGroup.length); i++) {
      const difference = describeDifference(wantGroup[i], gotGroup[i]);
      if (difference === undefined) equal++;
      else differences.push(`${name}, event ${i}: ${difference}`);
    }
  }
  return { counts, equal, differences };
}

interface Event {
  type: string;
  pid: number;
  binary: string;
  normal: Json;
}

function readEvents(text: string, options: CompareOptions): Event[] {
  const events: Event[] = [];
  const images = new Map<number, string[]>();
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    const object = JSON.parse(line) as JsonObject;
    const type = Object.keys(object)[0] ?? "";
    const process = ((object[type] as JsonObject).process ?? {}) as JsonObject;
    if (options.types !== undefined && !options.types.includes(type)) continue;
    if (options.flag !== undefined && !String(process.flags).split(" ").includes(options.flag)) continue;
    nameIds(object[type] as JsonObject, images);
    const normal = normalise(object);
    events.push({ type, pid: Number(process.pid), binary: String(process.binary), normal });
  }
  return events;
}

/** An exec id becomes the image's number among its pid's; a parent id becomes whether it is the shown parent's. */
function nameIds(body: JsonObject, images: Map<number, string[]>): void {
  const process = body.process as JsonObject | undefined;
  const parent = body.parent as JsonObject | undefined;
  if (process === undefined) return;
  if (process.parent_exec_id !== undefined) {
    process.parent_exec_id = process.parent_exec_id === parent?.exec_id ? "PARENT" : "OTHER";
  }
  if (parent?.parent_exec_id !== undefined) parent.parent_exec_id = "GRANDPARENT";
  for (const shown of [parent, process]) {
    if (shown === undefined) continue;
    const pid = Number(shown.pid);
    const known = images.get(pid) ?? [];
    images.set(pid, known);
    if (!known.includes(String(shown.exec_id))) known.push(String(shown.exec_id));
    shown.exec_id = `IMAGE ${known.indexOf(String(shown.exec_id))}`;
  }
}

const TIMES = new Set(["time", "start_time"]);
const PIDS = new Set(["pid", "tid"]);
/** Left out: they differ between runs, or (the last two) Tetragon does not have them. */
const IGNORED = new Set([
  "refcnt",
  "node_name",
  "policy_name",
  "credential_change",
  "security_label",
  "system_call",
  "in_exec",
]);
/** The inode of the initial user namespace is the same in every kernel. */
const INITIAL_USER_NS = 4_026_531_837;

/** Replaces values that differ between runs; the order of keys is kept and compared. */
function normalise(value: Json): Json {
  if (Array.isArray(value)) return value.map(normalise);
  if (value === null || typeof value !== "object") return value;
  const result: JsonObject = {};
  for (const [key, inner] of Object.entries(value)) {
    if (IGNORED.has(key)) continue;
    if (TIMES.has(key)) result[key] = "TIME";
    else if (PIDS.has(key)) result[key] = "PID";
    else if (key === "inum") result[key] = inner === INITIAL_USER_NS ? inner : "INUM";
    else result[key] = normalise(inner);
  }
  return result;
}

function groupByProcess(events: Event[]): Event[][] {
  const groups = new Map<number, Event[]>();
  for (const event of events) {
    const group = groups.get(event.pid);
    if (group === undefined) groups.set(event.pid, [event]);
    else group.push(event);
  }
  return [...groups.values()];
}

/** One load starts its processes in one order. A process that only one file has must not shift the others. */
function pairProcesses(want: Event[][], got: Event[][]): [name: string, want: Event[], got: Event[]][] {
  const pairs: [string, Event[], Event[]][] = [];
  const rows = commonLengths(want.map(signature), got.map(signature));
  let [w, g] = [0, 0];
  while (w < want.length || g < got.length) {
    const [wantGroup = [], gotGroup = []] = [want[w], got[g]];
    const lengthAt = (i: number, j: number) => rows[i]?.[j] ?? 0;
    const isPair =
      w < want.length &&
      g < got.length &&
      (signature(wantGroup) === signature(gotGroup) || lengthAt(w + 1, g + 1) === lengthAt(w, g));
    const skipsWant =
      !isPair && w < want.length && (g >= got.length || lengthAt(w + 1, g) >= lengthAt(w, g + 1));
    const shown = skipsWant || isPair ? wantGroup : gotGroup;
    const number = skipsWant || isPair ? w : g;
    const name = `process ${number} (${shown[0]?.binary})`;
    pairs.push([name, skipsWant || isPair ? wantGroup : [], skipsWant ? [] : gotGroup]);
    if (skipsWant || isPair) w++;
    if (!skipsWant) g++;
  }
  return pairs;
}

/** The program of a process. */
function signature(group: Event[]): string {
  return [...new Set(group.map(({ binary }) => binary))].join(" ");
}

/** Length of the longest common subsequence from positions i and j on. */
function commonLengths(want: string[], got: string[]): number[][] {
  const rows = Array.from({ length: want.length + 1 }, () => new Array<number>(got.length + 1).fill(0));
  const at = (i: number, j: number) => rows[i]?.[j] ?? 0;
  for (let i = want.length - 1; i >= 0; i--) {
    for (let j = got.length - 1; j >= 0; j--) {
      const row = rows[i] as number[];
      row[j] = want[i] === got[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  return rows;
}

function describeDifference(want: Event | undefined, got: Event | undefined): string | undefined {
  if (want === undefined) return `too much: ${JSON.stringify(got?.normal)}`;
  if (got === undefined) return `missing: ${JSON.stringify(want.normal)}`;
  return differingField(want.normal, got.normal, "");
}

/** The first field in which two values differ, key order included. */
function differingField(want: Json, got: Json, path: string): string | undefined {
  if (isObject(want) && isObject(got)) {
    const [wantKeys, gotKeys] = [Object.keys(want), Object.keys(got)];
    if (wantKeys.join() !== gotKeys.join())
      return `${path || "event"}: keys ${gotKeys} instead of ${wantKeys}`;
    for (const key of wantKeys) {
      const difference = differingField(
        want[key] as Json,
        got[key] as Json,
        path === "" ? key : `${path}.${key}`,
      );
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  const [wantText, gotText] = [JSON.stringify(want), JSON.stringify(got)];
  return wantText === gotText ? undefined : `${path}: ${gotText} instead of ${wantText}`;
}

function isObject(value: Json): value is JsonObject {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function main(argv: string[]): number {
  const files = argv.filter((argument) => !argument.startsWith("--"));
  const flag = argv.find((argument) => argument.startsWith("--flag="))?.slice("--flag=".length);
  const types = argv.find((argument) => argument.startsWith("--types="))?.slice("--types=".length);
  const [want, got] = files;
  if (want === undefined || got === undefined) {
    console.error("usage: compare.ts [--types=TYPE,...] [--flag=FLAG] WANT.jsonl GOT.jsonl");
    return 2;
  }
  const options = {
    ...(flag !== undefined && { flag }),
    ...(types !== undefined && { types: types.split(",") }),
  };
  const { counts, equal, differences } = compareEvents(
    readFileSync(want, "utf8"),
    readFileSync(got, "utf8"),
    options,
  );
  for (const [type, count] of Object.entries(counts))
    console.log(`${type}: ${count.got}, wanted ${count.want}`);
  for (const difference of differences.slice(0, 20)) console.log(difference);
  console.log(`${equal} events equal, ${differences.length} different`);
  return differences.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = main(process.argv.slice(2));
