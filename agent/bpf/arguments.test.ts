import { expect, test } from "vitest";
import { bpf, describeBpf, loadHooks, makeMap, testObject, u32 } from "./testing/programs.ts";

/** Calls a method with arguments that TypeScript would refuse. */
type Untyped = Record<string, (...args: unknown[]) => unknown>;

const untyped = (handle: unknown) => handle as Untyped;
const call = (handle: unknown, method: string, ...args: unknown[]) => untyped(handle)[method]?.(...args);

describeBpf("a wrong argument is a TypeError", () => {
  const object = loadHooks();
  const map = makeMap();
  const program = object.program("on_getuid");
  const btf = bpf.loadKernelBtf(testObject("types"));
  const clone = { name: "c", type: "raw_tracepoint", expectedAttachType: "none" };
  const created = { name: "m", type: "array", keySize: 4, valueSize: 4, maxEntries: 1 };

  const cases: Record<string, [handle: unknown, method: string, args: unknown[], message: RegExp]> = {
    "no path": [bpf, "openObject", [], /path: expected a string/],
    "a number for a path": [bpf, "loadKernelBtf", [1], /path: expected a string/],
    "null for a map's options": [bpf, "createMap", [null], /options: expected an object/],
    "an unknown map type": [bpf, "createMap", [{ ...created, type: "list" }], /type: unknown map type list/],
    "a negative size": [bpf, "createMap", [{ ...created, keySize: -1 }], /keySize: expected an integer/],
    "a fraction for a size": [
      bpf,
      "createMap",
      [{ ...created, valueSize: 1.5 }],
      /valueSize: expected an integer/,
    ],
    "NaN for a size": [bpf, "createMap", [{ ...created, maxEntries: Number.NaN }], /maxEntries: expected/],
    "too large flags": [bpf, "createMap", [{ ...created, flags: 2 ** 32 }], /flags: expected/],
    "no key": [map, "lookup", [], /key: expected a Uint8Array/],
    "null for a key": [map, "lookup", [null], /key: expected a Uint8Array/],
    "an array for a key": [map, "delete", [[0, 0, 0, 0]], /key: expected a Uint8Array/],
    "other integers for a key": [map, "lookup", [new Uint32Array(1)], /key: expected a Uint8Array/],
    "a short key": [map, "lookup", [new Uint8Array(3)], /key: expected 4 bytes, got 3/],
    "a long key": [map, "update", [new Uint8Array(5), u32(1)], /key: expected 4 bytes, got 5/],
    "a short value": [map, "update", [u32(0), new Uint8Array(3)], /value: expected 4 bytes, got 3/],
    "an ArrayBuffer for a value": [
      map,
      "update",
      [u32(0), new ArrayBuffer(4)],
      /value: expected a Uint8Array/,
    ],
    "a program for a ring": [bpf, "readRing", [program, { onBatch: () => {} }], /ring: expected a BpfMap/],
    "an impostor for a ring": [
      bpf,
      "readRing",
      [Object.setPrototypeOf({}, Object.getPrototypeOf(map)), { onBatch: () => {} }],
      /ring: expected a BpfMap/,
    ],
    "no reader options": [bpf, "readRing", [map], /options: expected an object/],
    "no onBatch": [bpf, "readRing", [map, {}], /onBatch: expected a function/],
    "no clone options": [program, "clone", [], /options: expected an object/],
    "a clone without a name": [program, "clone", [{ ...clone, name: undefined }], /name: expected a string/],
    "an unknown program type": [program, "clone", [{ ...clone, type: "xdp" }], /type: unknown value xdp/],
    "an unknown attach type": [
      program,
      "clone",
      [{ ...clone, expectedAttachType: 1 }],
      /expectedAttachType: expected/,
    ],
    "a number for maps": [program, "clone", [{ ...clone, maps: 7 }], /maps: expected an object/],
    "a program among maps": [
      program,
      "clone",
      [{ ...clone, maps: { hits: program } }],
      /maps\.hits: expected a BpfMap/,
    ],
    "no symbol": [program, "attachKprobe", [undefined], /symbol: expected a string/],
    "no symbol, in another thread": [program, "attachKprobeAsync", [undefined], /symbol: expected a string/],
    "a number for kprobe options": [program, "attachKprobe", ["x", 1], /options: expected an object/],
    "half a tracepoint": [program, "attachTracepoint", ["sched"], /event: expected a string/],
    "no name of a map": [object, "map", [undefined], /name: expected a string/],
    "a string for autoload": [object, "setAutoload", ["on_getuid", "no"], /autoload: expected a boolean/],
    "a string for bytes": [object, "setInitialValue", [".rodata", "abc"], /bytes: expected a Uint8Array/],
    "no name of a function": [btf, "funcProto", [], /name: expected a string/],
    "no enumerator": [btf, "enumValue", ["color"], /enumerator: expected a string/],
  };
  test.each(Object.entries(cases))("%s", (_name, [handle, method, args, message]) => {
    expect(() => call(handle, method, ...args)).toThrow(message);
    expect(() => call(handle, method, ...args)).toThrow(TypeError);
  });

  test("a buffer that was transferred away has no bytes", () => {
    const key = u32(0);
    structuredClone(key, { transfer: [key.buffer as ArrayBuffer] });
    expect(() => map.lookup(key)).toThrow("key: expected 4 bytes, got 0");
  });

  test("out-of-range reader options are RangeErrors", () => {
    const ring = object.map("events");
    expect(() => bpf.readRing(ring, { onBatch: () => {}, pollMs: 0 })).toThrow(RangeError);
    expect(() => bpf.readRing(ring, { onBatch: () => {}, batchBytes: 7 })).toThrow(RangeError);
  });

  test("methods cannot be borrowed by other objects", () => {
    const lookup = map.lookup as unknown as { call(receiver: unknown, ...args: unknown[]): unknown };
    for (const receiver of [program, {}, null]) expect(() => lookup.call(receiver, u32(0))).toThrow();
  });

  test("no method crashes on any single odd argument", async () => {
    const odd = [
      undefined,
      null,
      0,
      -1,
      "",
      "x",
      {},
      [],
      new Uint8Array(0),
      Symbol("s"),
      1n,
      () => {},
      map,
      program,
    ];
    const handles = [bpf, object, map, program, btf].map(untyped);
    for (const handle of handles) {
      const names = [...Object.keys(handle), ...Object.getOwnPropertyNames(Object.getPrototypeOf(handle))];
      const methods = names.filter(
        (name) => !["close", "constructor"].includes(name) && typeof handle[name] === "function",
      );
      for (const method of methods) {
        for (const argument of odd) {
          try {
            await handle[method]?.(argument, argument);
          } catch (error) {
            expect(error).toBeInstanceOf(Error);
          }
        }
      }
    }
  });
});
