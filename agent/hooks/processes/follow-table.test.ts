import { beforeEach, describe, expect, test } from "vitest";
import type { BpfMap } from "../../bpf/binding.ts";
import type { FollowedList } from "../config/filters.ts";
import { FOLLOW_SEED } from "../config/layout.ts";
import { encodePath } from "../config/path-tables.ts";
import { type FollowMaps, FollowTable } from "./follow-table.ts";
import type { RunningProcess } from "./running.ts";

/** A map of the kernel in memory. */
function makeMap(maxEntries = Number.POSITIVE_INFINITY) {
  const entries = new Map<string, Uint8Array>();
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  const map: Pick<BpfMap, "lookup" | "update" | "delete" | "keys"> = {
    lookup: (key) => entries.get(hex(key))?.slice(),
    update: (key, value) => {
      if (!entries.has(hex(key)) && entries.size >= maxEntries) {
        throw Object.assign(new Error("update map: E2BIG"), { name: "BpfError", code: "E2BIG", errno: 7 });
      }
      entries.set(hex(key), value.slice());
    },
    delete: (key) => entries.delete(hex(key)),
    keys: () => [...entries.keys()].map((key) => Uint8Array.from(Buffer.from(key, "hex"))),
  };
  return map as BpfMap;
}

/** A scan of /proc, and what happens on the node before the next one. */
type Pass = () => RunningProcess[];

let maps: FollowMaps;
let table: FollowTable;
/** The scans in order; the last one is repeated. */
let passes: Pass[];
let looks: FollowedList[];
beforeEach(() => {
  maps = {
    followPaths: makeMap(),
    followPids: makeMap(),
    followSeeds: makeMap(),
    followed: makeMap(),
    followCount: makeMap(),
  };
  passes = [() => []];
  looks = [];
  table = new FollowTable(maps, (list) => {
    looks.push(list);
    return (passes[looks.length - 1] ?? (passes.at(-1) as Pass))();
  });
});

const byPath = (...values: string[]): FollowedList => ({ by: "path", values });
const byPid = (...values: number[]): FollowedList => ({ by: "pid", values });
const u32 = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
const u64 = (...values: bigint[]) => new Uint8Array(BigUint64Array.from(values).buffer);
const numberAt = (value: Uint8Array | undefined, offset = 0) =>
  value ? new DataView(value.buffer).getBigUint64(offset, true) : 0n;
const bitsOfPath = (path: string) => numberAt(maps.followPaths.lookup(encodePath(path)));
const bitsOfPid = (pid: number, inNamespace = 0) => numberAt(maps.followPids.lookup(u32(pid, inNamespace)));

function seeds(): Record<number, bigint> {
  const { members } = FOLLOW_SEED;
  return Object.fromEntries(
    maps.followSeeds
      .keys()
      .map((key) => [
        new DataView(key.buffer).getUint32(0, true),
        numberAt(maps.followSeeds.lookup(key), members.lists),
      ]),
  );
}

function runs(pid: number, parentPid: number, parts: Partial<RunningProcess> = {}): RunningProcess {
  return { pid, parentPid, startNs: BigInt(pid) * 10_000_000n, listed: false, ...parts };
}

test("the first list finds no entries of processes that ended while there was none", () => {
  passes = [() => [runs(7, 1, { listed: true })]];
  table.take(1, byPid(7));
  maps.followed.update(u32(8), u64(1n));
  table.release(1);
  passes = [() => []];
  table.take(2, byPid(9));
  expect(maps.followed.keys()).toEqual([]);
  expect(seeds()).toEqual({});
});

test("hooks with the same list share a bit until the last one goes", () => {
  expect(table.take(1, byPath("/a", "/b"))).toBe(0);
  expect(table.take(2, byPath("/b", "/a", "/a"))).toBe(0);
  table.release(1);
  expect(bitsOfPath("/a")).toBe(1n);
  table.release(2);
  expect(maps.followPaths.keys()).toEqual([]);
});

test("the number of lists is written before /proc is read for them", () => {
  const count = () =>
    new DataView(maps.followCount.lookup(u32(0))?.buffer ?? new ArrayBuffer(4)).getUint32(0, true);
  const counts: number[] = [];
  passes = [
    () => {
      counts.push(count());
      return [];
    },
  ];
  table.take(1, byPath("/a"));
  table.take(2, byPid(7));
  expect(counts).toEqual([1, 2]);
  table.release(1);
  expect(count()).toBe(1);
  table.release(2);
  expect(count()).toBe(0);
});

test("a binary of several lists has the bit of each", () => {
  table.take(1, byPath("/a", "/b"));
  expect(table.take(1, byPath("/b"))).toBe(1);
  expect([bitsOfPath("/a"), bitsOfPath("/b")]).toEqual([1n, 3n]);
  table.take(2, byPath("/b"));
  table.release(1);
  expect([bitsOfPath("/a"), bitsOfPath("/b")]).toEqual([0n, 2n]);
});

test("pids, and the same in their own namespace, are different lists", () => {
  expect(table.take(1, byPid(7, 8))).toBe(0);
  expect(table.take(2, { by: "namespacePid", values: [8, 7] })).toBe(1);
  expect(table.take(3, byPid(8))).toBe(2);
  expect([bitsOfPid(7), bitsOfPid(8), bitsOfPid(7, 1)]).toEqual([1n, 5n, 2n]);
  table.release(1);
  expect([bitsOfPid(7), bitsOfPid(8), bitsOfPid(7, 1)]).toEqual([0n, 4n, 2n]);
});

test("a 65th list is refused, and released ones make room", () => {
  for (let id = 0; id < 64; id++) expect(table.take(id, byPath(`/${id}`))).toBe(id);
  expect(() => table.take(64, byPid(64))).toThrow("64 lists that they follow");
  table.release(7);
  expect(table.take(64, byPid(64))).toBe(7);
});

test("no process carries a bit of an earlier list that had it", () => {
  passes = [() => [runs(5, 1, { listed: true })]];
  for (let id = 0; id < 64; id++) table.take(id, byPath(`/${id}`));
  maps.followed.update(u32(1), u64(0b111n));
  maps.followed.update(u32(2), u64(0b010n));
  passes = [() => []];
  table.release(1);
  table.take(64, byPath("/64"));
  expect(numberAt(maps.followed.lookup(u32(1)))).toBe(0b101n);
  expect(maps.followed.lookup(u32(2))).toBeUndefined();
  expect(seeds()).toEqual({ 5: 0xffff_ffff_ffff_fffdn });
});

describe("what runs already", () => {
  const tree = () => [runs(1, 0), runs(5, 1, { listed: true }), runs(6, 5), runs(7, 6), runs(8, 1)];

  test("gets the bit where it descends from the list, with its start", () => {
    passes = [tree];
    table.take(1, byPid(5));
    expect(seeds()).toEqual({ 5: 1n, 6: 1n, 7: 1n });
    expect(numberAt(maps.followSeeds.lookup(u32(7)), FOLLOW_SEED.members.start_ns)).toBe(70_000_000n);
  });

  test("is looked for when the list can be passed on, once for all hooks that have it", () => {
    passes = [
      () => {
        expect(bitsOfPath("/a")).toBe(1n);
        return [];
      },
    ];
    table.take(1, byPath("/a"));
    table.take(2, byPath("/a"));
    expect(looks).toEqual([byPath("/a")]);
  });

  test("is searched for until no process is new: some were forked before their parents had the bit", () => {
    passes = [tree, () => [...tree(), runs(9, 7)]];
    table.take(1, byPath("/a"));
    expect(seeds()).toEqual({ 5: 1n, 6: 1n, 7: 1n, 9: 1n });
    expect(looks.length).toBe(3);
  });

  test("adds no seed for a process that has the bit already, but seeds its children", () => {
    passes = [
      () => {
        maps.followed.update(u32(8), u64(1n));
        return [runs(1, 0), runs(8, 1), runs(9, 8)];
      },
    ];
    table.take(1, byPath("/a"));
    expect(seeds()).toEqual({ 9: 1n });
  });

  test("keeps the bits of other lists, but not those of an earlier process with its pid", () => {
    passes = [tree];
    table.take(1, byPath("/a"));
    passes = [() => [runs(5, 1, { listed: true }), runs(6, 5, { startNs: 9_990_000_000n })]];
    table.take(2, byPath("/b"));
    expect(seeds()).toEqual({ 5: 3n, 6: 2n, 7: 1n });
  });

  test("is no longer looked for where it forks faster than /proc is read", () => {
    let pid = 100;
    passes = [() => [runs(5, 1, { listed: true }), runs(pid++, 5)]];
    table.take(1, byPid(5));
    expect(looks.length).toBe(10);
  });

  test("is left to the filters where there is no room", () => {
    maps.followSeeds = makeMap(2);
    table = new FollowTable(maps, tree);
    expect(table.take(1, byPid(5))).toBe(0);
    expect(seeds()).toEqual({ 5: 1n, 6: 1n });
  });

  test("a list for which /proc cannot be read is not taken", () => {
    passes = [
      () => {
        throw new Error("ENOENT: /proc");
      },
      tree,
    ];
    expect(() => table.take(1, byPath("/a"))).toThrow("ENOENT");
    expect(bitsOfPath("/a")).toBe(0n);
    expect(table.take(1, byPath("/a"))).toBe(1);
    expect(seeds()).toEqual({ 5: 2n, 6: 2n, 7: 2n });
  });
});
