/**
 * Runs in a guest with Linux 6.4 or later, where a map's `memlock` is what it has allocated, entries included, and not what
 * it could become: measures the memory of the engine's maps and programs beside 300 processes. Prints one JSON object per
 * line, {measure, value, unit}.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { makeArgs, makeHook } from "../../agent/hooks/testing/hooks.ts";
import { startEngine } from "./engine.ts";

const PROCESSES = 300;
/** Maps below this are reported as one. */
const SMALL_BYTES = 64 << 10;
/** For the kernel to free what was closed. */
const SETTLE_MS = 2_000;

/** As `bpftool map show` and `bpftool prog show` have them. */
interface Shown {
  id: number;
  type: string;
  name?: string;
  bytes_memlock?: number;
  bytes_jited?: number;
}

const before = await allocated();
const engine = startEngine();
const children = Array.from({ length: PROCESSES }, () => spawn("/bin/sleep", ["1000"]));
await Promise.all(children.map((child) => once(child, "spawn")));
await report("0 hooks");
const hook = engine.attach(makeHook({ call: "sys_setuid", syscall: true, args: makeArgs("int") }));
if (hook.status.state !== "Attached") throw new Error(hook.status.message);
await report("1 hook");
const ended = children.filter(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null);
if (ended.length > 0)
  throw new Error(`${ended.length} of ${PROCESSES} processes ended before they were measured`);
for (const child of children) child.kill();
hook.detach();
engine.close();

async function report(what: string): Promise<void> {
  await delay(SETTLE_MS);
  const bytes = new Map([...(await allocated())].filter(([key]) => !before.has(key)));
  const small = [...bytes.values()].filter((size) => size < SMALL_BYTES);
  for (const [key, size] of bytes) if (size >= SMALL_BYTES) print(`${what}: ${key}`, size);
  print(`${what}: the other ${small.length}`, sum(small));
  print(`${what}: all maps and programs`, sum([...bytes.values()]));
}

function print(measure: string, bytes: number): void {
  console.log(JSON.stringify({ measure, value: bytes / 1024, unit: "KiB" }));
}

/** Bytes by kind, name and id. Programs: what the verifier keeps of them, and the compiled code. */
async function allocated(): Promise<Map<string, number>> {
  const maps = (await show("map")).map((map) => [nameOf("map", map), map.bytes_memlock ?? 0] as const);
  const programs = (await show("prog")).map((program) => {
    return [nameOf("program", program), (program.bytes_memlock ?? 0) + (program.bytes_jited ?? 0)] as const;
  });
  return new Map([...maps, ...programs]);
}

function nameOf(kind: string, { name, type, id }: Shown): string {
  return `${kind} ${name ?? type} ${id}`;
}

async function show(kind: "map" | "prog"): Promise<Shown[]> {
  const { stdout } = await promisify(execFile)("bpftool", ["-j", kind, "show"], { maxBuffer: 1 << 26 });
  return JSON.parse(stdout) as Shown[];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
