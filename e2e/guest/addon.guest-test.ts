/**
 * The addon on a real kernel: clones attached by fentry, fexit, kprobe, LSM and tracepoint.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/addon.guest-test.ts
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { getPriority, setPriority } from "node:os";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  type BpfError,
  type BpfLink,
  type BpfMap,
  type BpfObject,
  type BpfProgram,
  type CloneOptions,
  type KernelBtf,
  loadBinding,
  type RingReader,
} from "../../agent/bpf/binding.ts";

const OBJECT = fileURLToPath(new URL("../../build/test/hooks.bpf.o", import.meta.url));
const BPF_F_RDONLY_PROG = 1 << 7;
/** Called once for each setPriority(). */
const FUNCTION = "security_task_setnice";
const PRIORITY = getPriority();

const bpf = loadBinding();
let object: BpfObject;
let btf: KernelBtf;
let events: BpfMap;
let reader: RingReader;
let records: { tag: number; number: number }[] = [];

before(() => {
  btf = bpf.loadKernelBtf();
  object = bpf.openObject(OBJECT);
  object.load();
  events = object.map("events");
  reader = bpf.readRing(events, { onBatch });
});

after(() => {
  for (const handle of [reader, events, object, btf]) handle.close();
});

/** Reads struct record of hooks.bpf.c. */
function onBatch(batch: ArrayBuffer): void {
  const words = new Uint32Array(batch);
  for (let i = 0; i < words.length; i += 4)
    records.push({ tag: words[i + 1] ?? -1, number: words[i + 2] ?? -1 });
}

function takeTags(): number[] {
  reader.flush();
  const tags = records.map((record) => record.tag);
  records = [];
  return tags;
}

/** A frozen map with struct hook_config of hooks.bpf.c: constants to the verifier. */
function makeSettings(tag: number): BpfMap {
  const map = bpf.createMap({
    name: "settings",
    type: "array",
    keySize: 4,
    valueSize: 16,
    maxEntries: 1,
    flags: BPF_F_RDONLY_PROG,
  });
  map.update(new Uint8Array(4), new Uint8Array(new Uint32Array([tag, process.pid, 0, 0]).buffer));
  map.freeze();
  return map;
}

function makeCounter(): BpfMap {
  return bpf.createMap({ name: "hits", type: "array", keySize: 4, valueSize: 8, maxEntries: 1 });
}

function countOf(map: BpfMap): number {
  return Number(new DataView(map.lookup(new Uint8Array(4))?.buffer as ArrayBuffer).getBigUint64(0, true));
}

/** Clones a template with settings and a counter of its own, attaches it, and closes all but the link. */
function attachClone(
  template: string,
  options: Omit<CloneOptions, "name" | "maps">,
  tag: number,
  attach: (program: BpfProgram) => BpfLink,
): { link: BpfLink; hits: BpfMap } {
  const source = object.program(template);
  const settings = makeSettings(tag);
  const hits = makeCounter();
  const clone = source.clone({ name: `t${tag}`, maps: { settings, hits }, ...options });
  const link = attach(clone);
  for (const handle of [source, settings, clone]) handle.close();
  return { link, hits };
}

function btfIdOf(name: string): number {
  const id = btf.funcProto(name)?.btfId;
  assert.ok(id, `${name} is in the kernel's BTF`);
  return id;
}

function attachFentry(symbol: string, tag: number) {
  return attachClone(
    "hook_fentry",
    { type: "tracing", expectedAttachType: "trace_fentry", attachBtfId: btfIdOf(symbol) },
    tag,
    (program) => program.attachTracing(),
  );
}

function attachKprobe(symbol: string, tag: number, retprobe = false) {
  return attachClone("hook_kprobe", { type: "kprobe", expectedAttachType: "none" }, tag, (program) =>
    program.attachKprobe(symbol, { retprobe }),
  );
}

function trigger(): void {
  setPriority(PRIORITY);
}

/** Three hits while attached, one before and one after. */
function assertFires(attach: () => { link: BpfLink; hits: BpfMap }, tag: number) {
  trigger();
  const { link, hits } = attach();
  for (let i = 0; i < 3; i++) trigger();
  link.close();
  trigger();
  assert.equal(countOf(hits), 3);
  hits.close();
  assert.deepEqual(takeTags(), [tag, tag, tag]);
}

function bpfError(run: () => unknown): BpfError {
  try {
    run();
  } catch (error) {
    return error as BpfError;
  }
  return assert.fail("it succeeded");
}

test("a clone of the fentry template fires on its function until its link is closed", () => {
  assertFires(() => attachFentry(FUNCTION, 1), 1);
});

test("a clone of the fexit template fires on its function", () => {
  const options = {
    type: "tracing",
    expectedAttachType: "trace_fexit",
    attachBtfId: btfIdOf(FUNCTION),
  } as const;
  assertFires(() => attachClone("hook_fexit", options, 2, (program) => program.attachTracing()), 2);
});

test("a clone of the kprobe template fires on its function", () => {
  assertFires(() => attachKprobe(FUNCTION, 3), 3);
});

test("a clone of the kprobe template fires on return", () => {
  assertFires(() => attachKprobe(FUNCTION, 4, true), 4);
});

test("a clone attached to a tracepoint fires", () => {
  const options = { type: "tracepoint", expectedAttachType: "none" } as const;
  const attach = (program: BpfProgram) => program.attachTracepoint("syscalls", "sys_enter_setpriority");
  assertFires(() => attachClone("hook_kprobe", options, 5, attach), 5);
});

test("a clone of the LSM template fires where BPF is one of the active security modules", (context) => {
  const options = {
    type: "lsm",
    expectedAttachType: "lsm_mac",
    attachBtfId: btfIdOf("bpf_lsm_task_setnice"),
  } as const;
  const active = readFileSync("/sys/kernel/security/lsm", "utf8").split(",").includes("bpf");
  if (!active) return context.skip("bpf is not in /sys/kernel/security/lsm");
  assertFires(() => attachClone("hook_lsm", options, 6, (program) => program.attachTracing()), 6);
});

test("several clones of one template fire on one function, each with its own settings", () => {
  const attached = [attachFentry(FUNCTION, 10), attachFentry(FUNCTION, 11), attachKprobe(FUNCTION, 12)];
  trigger();
  for (const { link, hits } of attached) {
    link.close();
    assert.equal(countOf(hits), 1);
    hits.close();
  }
  assert.deepEqual(takeTags().sort(), [10, 11, 12]);
});

test("a clone keeps the reads that were relocated for this kernel", () => {
  const attach = (program: BpfProgram) => program.attachKprobe(FUNCTION);
  const { link, hits } = attachClone("hook_task", { type: "kprobe", expectedAttachType: "none" }, 13, attach);
  trigger();
  link.close();
  hits.close();
  reader.flush();
  assert.deepEqual(records, [{ tag: 13, number: process.ppid }]);
  records = [];
});

test("a kprobe on a function that does not exist names it", () => {
  const error = bpfError(() => attachKprobe("no_such_function", 14));
  assert.equal(error.name, "BpfError");
  assert.equal(error.code, "ENOENT");
  assert.equal(
    error.message,
    "attach kprobe no_such_function: ENOENT (the kernel has no function no_such_function)",
  );
});

test("a kprobe on a function that allows none is refused with an errno", () => {
  const error = bpfError(() => attachKprobe("exc_int3", 15));
  assert.match(error.message, /^attach kprobe exc_int3: E(INVAL|OPNOTSUPP|NOENT)/);
});

test("fentry without a target is refused with the verifier's reason", () => {
  const options = { type: "tracing", expectedAttachType: "trace_fentry" } as const;
  const error = bpfError(() => attachClone("hook_fentry", options, 16, (program) => program.attachTracing()));
  assert.equal(error.code, "EINVAL");
  assert.equal(error.step, "load program");
  assert.match(error.verifierLog ?? "", /btf_id/);
});

test("the kernel's facts about a clone are there", () => {
  const settings = makeSettings(17);
  const source = object.program("hook_kprobe");
  const clone = source.clone({
    name: "facts",
    type: "kprobe",
    expectedAttachType: "none",
    maps: { settings },
  });
  const { id, xlatedInstructions, jitedBytes, memlockBytes, recursionMisses } = clone.info();
  assert.ok(id > 0 && xlatedInstructions > 0 && jitedBytes > 0 && memlockBytes >= 4096);
  assert.equal(recursionMisses, 0);
  for (const handle of [settings, source, clone]) handle.close();
});

test("20 rounds of clone, attach and close leave no descriptor and no memory behind", () => {
  const round = () => {
    const attached = [attachFentry(FUNCTION, 20), attachKprobe(FUNCTION, 21)];
    trigger();
    for (const { link, hits } of attached) {
      link.close();
      hits.close();
    }
    takeTags();
  };
  const openFiles = () => readdirSync("/proc/self/fd").length;
  for (let i = 0; i < 5; i++) round();
  const before = { files: openFiles(), rss: process.memoryUsage.rss() };
  for (let i = 0; i < 20; i++) round();
  assert.equal(openFiles(), before.files);
  const grown = process.memoryUsage.rss() - before.rss;
  assert.ok(grown < 8 << 20, `resident memory grew by ${grown} bytes`);
});
