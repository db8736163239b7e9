import { expect, test } from "vitest";
import type { BpfMap } from "../bpf/binding.ts";
import { PROCESS_IMAGE } from "./config-layout.ts";
import { encodeImage, seedImage } from "./process-images.ts";

const { tail, path, path_size } = PROCESS_IMAGE.members;
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString().replaceAll("\0", "");

test("a path stands at the start of its field and at the end of the tail", () => {
  const image = encodeImage("/usr/bin/su");
  expect(text(image.subarray(path, path + 12))).toBe("/usr/bin/su");
  expect(image[path - 1]).toBe("u".charCodeAt(0));
  expect(text(image.subarray(tail, path))).toBe("/usr/bin/su");
  expect(new DataView(image.buffer).getUint32(path_size, true)).toBe(11);
});

test("a long path is cut at both ends, and its size tells", () => {
  const long = `/${"a".repeat(300)}/end`;
  const image = encodeImage(long);
  expect(text(image.subarray(path, path_size))).toBe(long.slice(0, 255));
  expect(text(image.subarray(tail, path))).toBe(long.slice(-128));
  expect(new DataView(image.buffer).getUint32(path_size, true)).toBe(long.length);
});

test("what an exec has said is not overwritten", () => {
  const entries = new Map<string, Uint8Array>();
  const images = {
    lookup: (key: Uint8Array) => entries.get(String(key)),
    update: (key: Uint8Array, value: Uint8Array) => void entries.set(String(key), value),
  } as unknown as BpfMap;
  seedImage(images, 5, "/bin/first");
  seedImage(images, 5, "/bin/second");
  expect([...entries.values()].map((image) => text(image.subarray(path, path_size)))).toEqual(["/bin/first"]);
});
