import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { bpf, describeBpf, loadHooks, makeMap, testObject } from "./testing/programs.ts";

const source = readFileSync(new URL("binding.ts", import.meta.url), "utf8");

/** Member names of an interface of binding.ts. */
function declared(name: string): string[] {
  const body = source.match(new RegExp(`export interface ${name} \\{\\n(.*?)\\n\\}`, "s"))?.[1] ?? "";
  return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??[(:]/gm)].map((match) => match[1] ?? "").sort();
}

/** Member names of the class of a handle. */
function implemented(handle: object): string[] {
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(handle));
  return names.filter((name) => name !== "constructor").sort();
}

test("the addon exports what binding.ts declares", () => {
  expect(declared("Binding")).toContain("openObject");
  expect(Object.keys(bpf).sort()).toEqual(declared("Binding"));
});

test("objects and BTF have the members that binding.ts declares", () => {
  expect(implemented(bpf.openObject(testObject("hooks")))).toEqual(declared("BpfObject"));
  expect(implemented(bpf.loadKernelBtf(testObject("types")))).toEqual(declared("KernelBtf"));
});

test("clock, CPUs and version are the machine's", () => {
  const uptimeMs = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000;
  expect(Math.abs(Number(bpf.bootTimeNs()) / 1e6 - uptimeMs)).toBeLessThan(1000);
  expect(bpf.possibleCpus()).toBeGreaterThan(0);
  expect(bpf.libbpfVersion()).toMatch(/^v\d+\.\d+/);
});

describeBpf("handles of loaded objects", () => {
  test("have the members that binding.ts declares", () => {
    const object = loadHooks();
    const program = object.program("on_getuid");
    const link = program.attachRawTracepoint("sys_enter");
    const events = object.map("events");
    const reader = bpf.readRing(events, { onBatch: () => {} });
    expect(implemented(program)).toEqual(declared("BpfProgram"));
    expect(implemented(link)).toEqual(declared("BpfLink"));
    expect(implemented(events)).toEqual(declared("BpfMap"));
    expect(implemented(reader)).toEqual(declared("RingReader"));
    for (const handle of [reader, link, program, events, object]) handle.close();
  });

  test("made with `new` are closed ones", () => {
    const MapClass = makeMap().constructor as new () => ReturnType<typeof makeMap>;
    expect(() => new MapClass().freeze()).toThrow(/EBADF/);
    new MapClass().close();
  });
});
