import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import type { BpfError, BpfMap, CloneOptions } from "./binding.ts";
import {
  Collector,
  describeBpf,
  GetuidRecorder,
  loadHooks,
  makeMap,
  thrownBy,
  u32,
} from "./testing/programs.ts";

const BPF_F_RDONLY_PROG = 1 << 7;
const AS_RAW_TRACEPOINT: CloneOptions = { name: "clone", type: "raw_tracepoint", expectedAttachType: "none" };

function countOf(hits: BpfMap): number {
  return Number(new DataView(hits.lookup(u32(0))?.buffer as ArrayBuffer).getBigUint64(0, true));
}

function makeHits(): BpfMap {
  return makeMap({ valueSize: 8 });
}

/** A frozen map of one element, which the verifier reads as constants. */
function makeRodata(...values: number[]): BpfMap {
  const map = makeMap({ valueSize: values.length * 4, flags: BPF_F_RDONLY_PROG });
  map.update(u32(0), u32(...values));
  map.freeze();
  return map;
}

/** Settings of the templates; forbidden ones make the verifier refuse. */
function makeSettings(forbidden: number): BpfMap {
  return makeRodata(1, process.pid, 0, forbidden);
}

/** A program that is loaded and not attached, and a reader of what it records. */
function makeGetuidProgram() {
  const object = loadHooks();
  const events = object.map("events");
  const collector = new Collector();
  const reader = collector.read(events);
  const program = object.program("on_getuid");
  const close = () => {
    for (const handle of [reader, program, events, object]) handle.close();
  };
  return { program, collector, reader, close };
}

describeBpf("programs", () => {
  test("of raw tracepoints run once when asked to, and their result comes back", () => {
    const object = loadHooks();
    const template = object.program("difference");
    const program = template.clone(AS_RAW_TRACEPOINT);
    expect(program.testRun(new Uint8Array(BigUint64Array.of(20n, 62n).buffer))).toBe(-42);
    expect(thrownBy(() => program.testRun(new Uint8Array(8)))).toMatchObject({
      code: "EINVAL",
      step: "run program",
    });
    expect(thrownBy(() => template.testRun(new Uint8Array(16)))).toMatchObject({ message: /a template/ });
    for (const handle of [program, template, object]) handle.close();
  });

  test("fire while their link is open", () => {
    const recorder = new GetuidRecorder();
    const collector = new Collector();
    const reader = collector.read(recorder.events);
    recorder.record(4);
    recorder.close();
    recorder.record(4);
    reader.flush();
    expect(collector.numbers).toHaveLength(4);
    reader.close();
  });

  test("fire once their link has been opened in another thread, also if they are closed meanwhile", async () => {
    const { program, collector, reader, close } = makeGetuidProgram();
    const opening = program.attachRawTracepointAsync("sys_enter");
    program.close();
    const link = await opening;
    process.getuid?.();
    reader.flush();
    expect(collector.numbers).toHaveLength(1);
    link.close();
    close();
  });

  test("are refused in another thread as they are here", async () => {
    const object = loadHooks();
    const program = object.program("on_getuid");
    const refusal = thrownBy(() => program.attachRawTracepoint("no_such")) as BpfError;
    expect(refusal).toMatchObject({ code: "ENOENT", step: "attach raw tracepoint", subject: "no_such" });
    await expect(program.attachRawTracepointAsync("no_such")).rejects.toMatchObject({
      code: refusal.code,
      step: refusal.step,
      message: refusal.message,
    });
    program.close();
    expect(thrownBy(() => program.attachRawTracepointAsync("sys_enter"))).toMatchObject({ code: "EBADF" });
    object.close();
  });

  test("do not run any more when their link has been closed in another thread", async () => {
    const { program, collector, reader, close } = makeGetuidProgram();
    const link = program.attachRawTracepoint("sys_enter");
    process.getuid?.();
    const closing = link.closeAsync();
    link.close();
    expect(link.missed()).toBe(0);
    await closing;
    await link.closeAsync();
    reader.flush();
    const before = collector.numbers.length;
    process.getuid?.();
    reader.flush();
    expect([before, collector.numbers.length]).toEqual([1, 1]);
    close();
  });

  test("report what the kernel made of them", () => {
    const object = loadHooks();
    const program = object.program("on_getuid");
    expect(program.instructionCount()).toBeGreaterThan(20);
    const info = program.info();
    expect(info.id).toBeGreaterThan(0);
    expect(info.xlatedInstructions).toBeGreaterThan(10);
    expect(info.memlockBytes).toBeGreaterThanOrEqual(4096);
    expect(info).toMatchObject({ recursionMisses: 0, runs: expect.any(Number), runNs: expect.any(Number) });
    expect(program.fd).toBeGreaterThan(2);
    program.close();
    expect(program.fd).toBe(-1);
    object.close();
  });

  test("are cloned with other maps, constants included", () => {
    const object = loadHooks();
    const events = object.map("events");
    const source = object.program("on_getuid");
    const collector = new Collector();
    const reader = collector.read(events);
    const clones = [
      source.clone({
        ...AS_RAW_TRACEPOINT,
        maps: { ".rodata": makeRodata(process.pid, 1, 24), hits: makeHits() },
      }),
    ];
    const hits = makeHits();
    clones.push(
      source.clone({ ...AS_RAW_TRACEPOINT, maps: { ".rodata": makeRodata(process.pid, 2, 0), hits } }),
    );
    object.close();
    source.close();
    const links = clones.map((clone) => clone.attachRawTracepoint("sys_enter"));
    for (let i = 0; i < 3; i++) process.getuid?.();
    for (const handle of [...links, ...clones]) handle.close();
    reader.flush();
    expect(countOf(hits)).toBe(3);
    expect(collector.batchSizes).toEqual([3 * 24 + 3 * 16]);
    reader.close();
    events.close();
  });

  test("are verified with a clone's frozen constants: branches that they rule out are not there", () => {
    const object = loadHooks();
    const source = object.program("on_getuid");
    const clone = (rodata: BpfMap) => source.clone({ ...AS_RAW_TRACEPOINT, maps: { ".rodata": rodata } });
    const small = clone(makeRodata(1, 2, 0));
    const big = clone(makeRodata(1, 2, 16));
    expect(small.info().xlatedInstructions).not.toBe(big.info().xlatedInstructions);
    // A size that may still change is a size that the verifier cannot bound.
    expect(thrownBy(() => clone(makeMap({ valueSize: 12 })))).toMatchObject({ code: "EACCES" });
    for (const handle of [small, big, source, object]) handle.close();
  });

  test("without a target are templates: never loaded themselves, good for clones", () => {
    const object = loadHooks();
    for (const name of ["hook_fentry", "hook_fexit", "hook_lsm", "hook_kprobe"]) {
      const template = object.program(name);
      expect(template.fd).toBe(-1);
      expect(template.instructionCount()).toBeGreaterThan(20);
      const error = thrownBy(() => template.attachKprobe("commit_creds"));
      expect(error).toMatchObject({ code: "EINVAL", subject: name, message: /template/ });
      expect(thrownBy(() => template.info())).toMatchObject({ code: "EINVAL" });
      const clone = template.clone({ ...AS_RAW_TRACEPOINT, maps: { settings: makeSettings(0) } });
      expect(clone.info().xlatedInstructions).toBeGreaterThan(20);
      clone.close();
    }
    object.close();
  });

  test("that the verifier refuses as clones keep its log", () => {
    const object = loadHooks();
    const settings = makeSettings(1);
    const template = object.program("hook_kprobe");
    const error = thrownBy(() => template.clone({ ...AS_RAW_TRACEPOINT, name: "bad", maps: { settings } }));
    expect(error).toMatchObject({ name: "BpfError", code: "EACCES", step: "load program", subject: "bad" });
    expect(error.message).toMatch(/R\d invalid mem access/);
    expect(error.verifierLog).toMatch(/processed \d+ insns/);
    expect(error.verifierReason).toMatch(/^R\d invalid mem access/);
    expect(error.transient).toBe(false);
    object.close();
  });

  test("that are too long for the verifier are not verified again for a log", () => {
    const object = loadHooks();
    const error = thrownBy(() => object.program("hook_long").clone({ ...AS_RAW_TRACEPOINT, name: "long" }));
    expect(error).toMatchObject({
      code: "E2BIG",
      message: "load program long: E2BIG (too many instructions or jumps for the verifier)",
    });
    expect(error.verifierLog).toBeUndefined();
    object.close();
  });

  test("are loaded while signals arrive faster than they are verified", async () => {
    const object = loadHooks();
    const long = object.program("hook_long");
    let signals = 0;
    const count = () => signals++;
    process.on("SIGUSR2", count);
    const sender = spawn("sh", ["-c", `while kill -USR2 ${process.pid}; do sleep 0.005; done`], {
      stdio: "ignore",
    });
    try {
      await once(process, "SIGUSR2");
      const before = signals;
      const error = thrownBy(() => long.clone({ ...AS_RAW_TRACEPOINT, name: "long" }));
      expect(error).toMatchObject({ code: "E2BIG" }); // not EAGAIN: the verifier came to its end
      loadHooks().close();
      await once(process, "SIGUSR2");
      expect(signals).toBeGreaterThan(before);
    } finally {
      sender.kill();
      await once(sender, "exit");
      process.off("SIGUSR2", count);
      object.close();
    }
  });

  test("cannot be cloned with a map that the object does not have, or that is closed", () => {
    const object = loadHooks();
    const source = object.program("on_getuid");
    const closed = makeMap();
    closed.close();
    const clone = (maps: CloneOptions["maps"]) => () =>
      source.clone({ ...AS_RAW_TRACEPOINT, maps: maps ?? {} });
    expect(thrownBy(clone({ nope: makeMap() }))).toMatchObject({ code: "ENOENT", subject: "nope" });
    expect(thrownBy(clone({ hits: closed }))).toMatchObject({ code: "EBADF" });
    object.close();
  });

  test("are refused with step, subject and errno where they do not fit", () => {
    const object = loadHooks();
    const program = object.program("on_getuid");
    const attempts: [() => unknown, string, string][] = [
      [
        () => program.attachRawTracepoint("no_such_tracepoint"),
        "attach raw tracepoint",
        "no_such_tracepoint",
      ],
      [() => program.attachTracing(), "attach tracing", "on_getuid"],
      [() => program.attachKprobe("no_such_function"), "attach kprobe", "no_such_function"],
      [
        () => program.attachKprobe("no_such_function", { retprobe: true }),
        "attach kretprobe",
        "no_such_function",
      ],
      [() => program.attachTracepoint("no", "such"), "attach tracepoint", "no/such"],
      [() => program.attachTracepoint("../../sys", "x"), "attach tracepoint", "../../sys/x"],
    ];
    for (const [attempt, step, subject] of attempts) {
      const error = thrownBy(attempt);
      expect(error).toMatchObject({
        name: "BpfError",
        step,
        subject,
        code: expect.stringMatching(/^E[A-Z]+$/),
      });
      expect(error.message).toContain(`${step} ${subject}: ${error.code} (`);
    }
    object.close();
  });

  test("fail with EBADF after close()", () => {
    const object = loadHooks();
    const program = object.program("on_getuid");
    program.close();
    program.close();
    const uses = [
      () => program.attachRawTracepoint("sys_enter"),
      () => program.clone(AS_RAW_TRACEPOINT),
      () => program.instructionCount(),
      () => program.info(),
    ];
    for (const use of uses) expect(thrownBy(use)).toMatchObject({ code: "EBADF", subject: "on_getuid" });
    object.close();
  });
});
