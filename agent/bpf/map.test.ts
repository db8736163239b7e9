import { beforeAll, expect, test } from "vitest";
import type { CreateMapOptions } from "./binding.ts";
import { bpf, describeBpf, makeMap, thrownBy, u32 } from "./testing/programs.ts";

const BPF_F_NO_PREALLOC = 1;
const BPF_F_RDONLY_PROG = 1 << 7;

describeBpf("maps by the system call", testMaps);

describeBpf("maps by programs and memory", () => {
  // The later suite: there is no way back. Kernels before 6.1 have only the system call.
  beforeAll(() => {
    bpf.useMapPrograms();
  });
  testMaps();

  test("keep each of many elements of an array", () => {
    const map = makeMap({ valueSize: 12, maxEntries: 1000 });
    for (let i = 0; i < 1000; i++) map.update(u32(i), u32(i, i + 1, i + 2));
    for (let i = 0; i < 1000; i++) expect(map.lookup(u32(i))).toEqual(u32(i, i + 1, i + 2));
    expect(map.lookup(u32(1000))).toBeUndefined();
    expect(thrownBy(() => map.update(u32(1000), u32(0, 0, 0)))).toMatchObject({ code: "E2BIG" });
    map.freeze();
    expect(map.lookup(u32(999))).toEqual(u32(999, 1000, 1001));
    map.close();
  });

  test("of programs that may not write are written all the same, until they are frozen", () => {
    const map = makeMap({ type: "hash", flags: BPF_F_RDONLY_PROG | BPF_F_NO_PREALLOC });
    map.update(u32(1), u32(2));
    expect(map.lookup(u32(1))).toEqual(u32(2));
    map.freeze();
    expect(thrownBy(() => map.update(u32(1), u32(3)))).toMatchObject({ code: "EPERM" });
    expect(map.lookup(u32(1))).toEqual(u32(2));
    map.close();
  });
});

function testMaps(): void {
  test("keep what is written, and report missing keys", () => {
    const map = makeMap({ type: "hash", valueSize: 8, maxEntries: 10 });
    expect(map).toMatchObject({ name: "test", keySize: 4, valueSize: 8, maxEntries: 10 });
    map.update(u32(1), u32(11, 12));
    map.update(u32(2), u32(21, 22));
    expect(map.lookup(u32(1))).toEqual(u32(11, 12));
    expect(map.lookup(u32(3))).toBeUndefined();
    expect(map.keys()).toHaveLength(2);
    expect(map.delete(u32(1))).toBe(true);
    expect(map.delete(u32(1))).toBe(false);
    expect(map.keys()).toEqual([u32(2)]);
    map.close();
  });

  test("list every key of a full hash once", () => {
    const map = makeMap({ type: "hash", maxEntries: 500 });
    for (let i = 0; i < 500; i++) map.update(u32(i), u32(i));
    const keys = map.keys().map((key) => new Uint32Array(key.slice().buffer)[0] ?? -1);
    expect(keys.sort((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, i) => i));
    expect(thrownBy(() => map.update(u32(500), u32(0)))).toMatchObject({ code: "E2BIG", step: "update map" });
    map.close();
  });

  test("of the per-CPU kinds give and take all values, each padded to 8", () => {
    const cpus = bpf.possibleCpus();
    const map = makeMap({ type: "percpu_array", valueSize: 4 });
    const values = Array.from({ length: cpus }, (_, cpu) => [cpu + 1, 0]).flat();
    map.update(u32(0), u32(...values));
    expect(map.lookup(u32(0))).toEqual(u32(...values));
    expect(() => map.update(u32(0), u32(1))).toThrow(TypeError);
    map.close();
  });

  test("refuse writes after freeze()", () => {
    const map = makeMap({ flags: BPF_F_RDONLY_PROG });
    map.update(u32(0), u32(1));
    map.freeze();
    expect(thrownBy(() => map.update(u32(0), u32(2)))).toMatchObject({ code: "EPERM", subject: "test" });
    expect(map.lookup(u32(0))).toEqual(u32(1));
    map.close();
  });

  test("report the kernel memory that they take", () => {
    const small = makeMap({ valueSize: 8 });
    const large = makeMap({ valueSize: 8, maxEntries: 100_000 });
    expect(large.memlockBytes()).toBeGreaterThan(small.memlockBytes() + 700_000);
    small.close();
    large.close();
  });

  const kinds: [CreateMapOptions["type"], Partial<CreateMapOptions>][] = [
    ["hash", {}],
    ["array", {}],
    ["percpu_array", {}],
    ["percpu_hash", {}],
    ["lru_hash", {}],
    ["lru_percpu_hash", {}],
    ["lpm_trie", { keySize: 8, flags: BPF_F_NO_PREALLOC }],
    ["ringbuf", { keySize: 0, valueSize: 0, maxEntries: 4096 }],
  ];
  test.each(kinds)("of kind %s can be created", (type, options) => {
    const map = makeMap({ type, ...options });
    expect(map.keySize).toBe(options.keySize ?? 4);
    map.close();
  });

  test("that the kernel refuses are named in the error", () => {
    const error = thrownBy(() =>
      makeMap({ name: "odd", type: "ringbuf", keySize: 0, valueSize: 0, maxEntries: 5 }),
    );
    expect(error).toMatchObject({
      name: "BpfError",
      step: "create map",
      subject: "odd",
      code: "EINVAL",
      errno: 22,
    });
  });

  test("have no keys when they are ring buffers", () => {
    const ring = makeMap({ type: "ringbuf", keySize: 0, valueSize: 0, maxEntries: 4096 });
    expect(thrownBy(() => ring.keys())).toMatchObject({
      code: "ENOTSUPP",
      errno: 524,
      step: "list keys of map",
    });
    ring.close();
  });

  test("fail with EBADF after close()", () => {
    const map = makeMap();
    map.close();
    map.close();
    const uses = [() => map.lookup(u32(0)), () => map.keys(), () => map.freeze(), () => map.memlockBytes()];
    for (const use of uses) expect(thrownBy(use)).toMatchObject({ code: "EBADF", subject: "test" });
  });
}
