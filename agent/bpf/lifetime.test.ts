import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { bpf, describeBpf, loadHooks, makeMap, testObject } from "./testing/programs.ts";

const ADDON = fileURLToPath(new URL("../../build/bpf.node", import.meta.url));

const PRODUCT = fileURLToPath(new URL("../../build/bpf/trigon.bpf.o", import.meta.url));

/** Attaches on_getuid of an `object`, whose records are in `events`. */
const ATTACH = `
  const object = bpf.openObject(${JSON.stringify(testObject("hooks"))});
  object.setInitialValue(".rodata", new Uint8Array(new Uint32Array([process.pid]).buffer));
  object.load();
  const link = object.program("on_getuid").attachRawTracepoint("sys_enter");
  const events = object.map("events");`;

/** Runs a script in a process of its own, with `bpf` and an `object` whose on_getuid is attached. */
function runScript(script: string): Promise<{ status: number; stdout: string; stderr: string }> {
  const directory = mkdtempSync(join(tmpdir(), "trigon-addon-"));
  const file = join(directory, "script.mjs");
  writeFileSync(
    file,
    `import { createRequire } from "node:module";
     const bpf = createRequire(import.meta.url)(${JSON.stringify(ADDON)});
     ${ATTACH}
     ${script}`,
  );
  return new Promise((resolve) => {
    execFile(process.execPath, [file], { timeout: 50_000 }, (error, stdout, stderr) => {
      rmSync(directory, { recursive: true });
      const status = error ? (typeof error.code === "number" ? error.code : -1) : 0;
      resolve({ status, stdout: stdout.trim(), stderr });
    });
  });
}

const openFiles = () => readdirSync("/proc/self/fd").length;

function collectGarbage(): void {
  setFlagsFromString("--expose_gc");
  (runInNewContext("gc") as () => void)();
}

function openLoadCloneAttachClose(): void {
  const object = loadHooks();
  const source = object.program("on_getuid");
  const hits = makeMap({ valueSize: 8 });
  const clone = source.clone({
    name: "clone",
    type: "raw_tracepoint",
    expectedAttachType: "none",
    maps: { hits },
  });
  const link = clone.attachRawTracepoint("sys_enter");
  const events = object.map("events");
  const reader = bpf.readRing(events, { onBatch: () => {} });
  process.getuid?.();
  reader.flush();
  for (const handle of [reader, link, clone, hits, source, events, object]) handle.close();
}

describeBpf("what the addon takes it gives back", () => {
  test("500 handles of a program of 150 KB share its instructions", () => {
    const object = bpf.openObject(PRODUCT);
    object.load();
    const first = object.program("hook_kprobe");
    expect(first.instructionCount()).toBeGreaterThan(10_000);
    const before = process.memoryUsage.rss();
    const handles = Array.from({ length: 500 }, () => object.program("hook_kprobe"));
    expect(process.memoryUsage.rss() - before).toBeLessThan(8 << 20);
    for (const handle of [...handles, first, object]) handle.close();
  });

  test("200 rounds of open, load, clone, attach, read and close leave no descriptor and no memory", () => {
    for (let i = 0; i < 50; i++) openLoadCloneAttachClose();
    collectGarbage();
    const before = { files: openFiles(), rss: process.memoryUsage.rss() };
    for (let i = 0; i < 200; i++) openLoadCloneAttachClose();
    collectGarbage();
    expect(openFiles()).toBe(before.files);
    expect(process.memoryUsage.rss() - before.rss).toBeLessThan(24 << 20);
  }, 60_000);

  test("unreferenced handles are closed by the garbage collector", async () => {
    const before = openFiles();
    for (let i = 0; i < 100; i++) makeMap();
    loadHooks();
    expect(openFiles()).toBeGreaterThan(before + 100);
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
    expect(openFiles()).toBe(before);
  });

  test("failures leave nothing open", () => {
    const map = makeMap();
    const before = openFiles();
    for (let i = 0; i < 20; i++) {
      const object = bpf.openObject(testObject("refused"));
      expect(() => object.load()).toThrow(/EACCES/);
      object.close();
      expect(() => bpf.openObject("/etc/passwd")).toThrow(/ENOEXEC/);
      expect(() => bpf.readRing(map, { onBatch: () => {} })).toThrow(/EINVAL/);
    }
    expect(openFiles()).toBe(before);
  });
});

describeBpf("a process with an open ring reader", () => {
  test("ends by itself", async () => {
    const script = "bpf.readRing(events, { onBatch: () => {} }); process.getuid(); console.log('end');";
    expect(await runScript(script)).toEqual({ status: 0, stdout: "end", stderr: "" });
  });

  test("ends by process.exit() inside of onBatch", async () => {
    const script = `
      bpf.readRing(events, { pollMs: 1, onBatch: () => process.exit(7) });
      process.getuid();
      setInterval(() => process.getuid(), 5);`;
    expect(await runScript(script)).toMatchObject({ status: 7, stderr: "" });
  });

  test("sees an exception of onBatch as an uncaught one, and reads on when it is handled", async () => {
    const script = `
      const failure = new Error("from onBatch");
      let calls = 0;
      process.on("uncaughtException", (error) => console.log(error === failure));
      const timer = setInterval(() => process.getuid(), 5);
      bpf.readRing(events, { pollMs: 1, onBatch: () => {
        if (++calls === 1) throw failure;
        clearInterval(timer);
      } });`;
    expect(await runScript(script)).toEqual({ status: 0, stdout: "true", stderr: "" });
  });

  test("dies of an uncaught exception of onBatch, with its own stack", async () => {
    const script = `
      bpf.readRing(events, { pollMs: 1, onBatch: () => { throw new Error("from onBatch"); } });
      setInterval(() => process.getuid(), 5);`;
    const { status, stderr } = await runScript(script);
    expect(status).toBe(1);
    expect(stderr).toMatch(/Error: from onBatch\n\s+at .*onBatch.*script\.mjs/);
  });

  test("may have it in workers that are terminated while they call the addon and are called by it", async () => {
    const script = `
      const { Worker } = await import("node:worker_threads");
      const work = \`
        const bpf = require(${JSON.stringify(ADDON)});
        ${ATTACH}
        const reader = bpf.readRing(events, { pollMs: 1, onBatch: () => {} });
        const rounds = () => { process.getuid(); reader.flush(); process.getuid(); setImmediate(rounds); };
        rounds();
        require("node:worker_threads").parentPort.postMessage("up");
      \`;
      const codes = new Set();
      for (let n = 0; n < 30; n++) {
        const worker = new Worker(work, { eval: true });
        await new Promise((resolve) => worker.once("message", resolve));
        await new Promise((resolve) => setTimeout(resolve, n % 10));
        codes.add(await worker.terminate());
      }
      console.log([...codes].join());`;
    expect(await runScript(script)).toEqual({ status: 0, stdout: "1", stderr: "" });
  });

  test("receives the errno where BPF is not allowed", async () => {
    const script = `
      const opened = bpf.openObject(${JSON.stringify(testObject("hooks"))});
      process.setgid(65534); process.setuid(65534);
      for (const attempt of [
        () => opened.load(),
        () => object.program("on_getuid").clone({ name: "c", type: "raw_tracepoint", expectedAttachType: "none" }),
        () => bpf.createMap({ name: "m", type: "hash", keySize: 4, valueSize: 4, maxEntries: 1 }),
      ]) try { attempt(); console.log("allowed"); } catch (error) { console.log(error.name, error.step, error.code); }`;
    expect(await runScript(script)).toEqual({
      status: 0,
      stdout: "BpfError load object EPERM\nBpfError load program EPERM\nBpfError create map EPERM",
      stderr: "",
    });
  });
});
