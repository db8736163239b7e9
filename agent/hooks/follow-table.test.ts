import { beforeEach, expect, test } from "vitest";
import type { BpfMap } from "../bpf/binding.ts";
import { PROCESS_IMAGE } from "./config-layout.ts";
import { FollowTable } from "./follow-table.ts";
import { encodePath } from "./path-tables.ts";

/** A map of the kernel in memory. */
function makeMap() {
  const entries = new Map<string, Uint8Array>();
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  const map: Pick<BpfMap, "lookup" | "update" | "delete" | "keys"> = {
    lookup: (key) => entries.get(hex(key))?.slice(),
    update: (key, value) => void entries.set(hex(key), value.slice()),
    delete: (key) => entries.delete(hex(key)),
    keys: () => [...entries.keys()].map((key) => Uint8Array.from(Buffer.from(key, "hex"))),
  };
  return map as BpfMap;
}

let paths: BpfMap;
let images: BpfMap;
let table: FollowTable;
beforeEach(() => {
  paths = makeMap();
  images = makeMap();
  table = new FollowTable(paths, images);
});

function bitsOf(path: string): bigint {
  const value = paths.lookup(encodePath(path));
  return value ? new DataView(value.buffer).getBigUint64(0, true) : 0n;
}

test("hooks with the same list share a bit until the last one goes", () => {
  expect(table.take(1, ["/a", "/b"])).toBe(0);
  expect(table.take(2, ["/b", "/a", "/a"])).toBe(0);
  table.release(1);
  expect(bitsOf("/a")).toBe(1n);
  table.release(2);
  expect(paths.keys()).toEqual([]);
});

test("a binary of several lists has the bit of each", () => {
  table.take(1, ["/a", "/b"]);
  expect(table.take(1, ["/b"])).toBe(1);
  expect([bitsOf("/a"), bitsOf("/b")]).toEqual([1n, 3n]);
  table.take(2, ["/b"]);
  table.release(1);
  expect([bitsOf("/a"), bitsOf("/b")]).toEqual([0n, 2n]);
});

test("a 65th list is refused, and released ones make room", () => {
  for (let id = 0; id < 64; id++) expect(table.take(id, [`/${id}`])).toBe(id);
  expect(() => table.take(64, ["/64"])).toThrow("64 lists of binaries");
  table.release(7);
  expect(table.take(64, ["/64"])).toBe(7);
});

test("no process carries a bit of an earlier list that had it", () => {
  const key = Uint8Array.of(1, 0, 0, 0);
  for (let id = 0; id < 64; id++) table.take(id, [`/${id}`]);
  const image = new Uint8Array(PROCESS_IMAGE.size);
  new DataView(image.buffer).setBigUint64(PROCESS_IMAGE.members.followed, 0b111n, true);
  images.update(key, image);
  table.release(1);
  table.take(64, ["/64"]);
  const view = new DataView((images.lookup(key) as Uint8Array).buffer);
  expect(view.getBigUint64(PROCESS_IMAGE.members.followed, true)).toBe(0b101n);
});
