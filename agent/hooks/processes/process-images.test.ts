import { readFileSync, readlinkSync } from "node:fs";
import { expect, test } from "vitest";
import { ENUMERATORS, PROCESS_IMAGE, PROCESS_STATE, TEXT_ENDS } from "../config/layout.ts";
import { encodeImage, readProcessState, seedImage } from "./process-images.ts";

const { SEED_TAKEN, SEED_KNOWN, SEED_NO_ROOM } = ENUMERATORS;
const { flags, pid, state } = PROCESS_IMAGE.members;
const { tail, path, path_size } = TEXT_ENDS.members; // exe is the first member of an image
const inum = (name: string) => Number(/\d+/.exec(readlinkSync(`/proc/self/ns/${name}`))?.[0]);
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString().replaceAll("\0", "");

test("a path stands at the start of its field and at the end of the tail", () => {
  const image = encodeImage(7, "/usr/bin/su");
  expect(text(image.subarray(path, path + 12))).toBe("/usr/bin/su");
  expect(image[path - 1]).toBe("u".charCodeAt(0));
  expect(text(image.subarray(tail, path))).toBe("/usr/bin/su");
  expect(new DataView(image.buffer).getUint32(path_size, true)).toBe(11);
});

test("a long path is cut at both ends, and its size is that of the whole path", () => {
  const long = `/${"a".repeat(300)}/end`;
  const image = encodeImage(7, long);
  expect(text(image.subarray(path, path_size))).toBe(long.slice(0, 255));
  expect(text(image.subarray(tail, path))).toBe(long.slice(-128));
  expect(new DataView(image.buffer).getUint32(path_size, true)).toBe(long.length);
});

test("what changes are compared with comes from procfs", () => {
  const own = readProcessState("/proc/self");
  const image = encodeImage(7, "/bin/node", own);
  const view = new DataView(image.buffer);
  expect([view.getUint32(flags, true), view.getUint32(pid, true)]).toEqual([1, 7]);
  expect(view.getUint32(state + PROCESS_STATE.members.ns + 4 * 3, true)).toBe(inum("pid"));
  expect(view.getUint32(state + PROCESS_STATE.members.ns + 4 * 9, true)).toBe(inum("user"));
  const effective = /^CapEff:\s*(\w+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  expect(view.getBigUint64(state, true)).toBe(BigInt(`0x${effective}`));
});

test("of a process that is gone nothing is known", () => {
  expect(readProcessState("/proc/0")).toBeUndefined();
  expect(new DataView(encodeImage(7, "/bin/gone", undefined).buffer).getUint32(flags, true)).toBe(0);
});

test("each process is handed to the program, which says whether there was room", () => {
  const handed: Uint8Array[] = [];
  const seen: string[] = [];
  const results = [SEED_TAKEN, SEED_KNOWN, SEED_NO_ROOM];
  const seed = {
    image: { update: (_: Uint8Array, value: Uint8Array) => void handed.push(value) },
    program: {
      testRun: () => {
        seen.push(text((handed.at(-1) ?? new Uint8Array()).subarray(path, path_size)));
        return results[seen.length - 1] ?? SEED_NO_ROOM;
      },
    },
  };
  const paths = ["/bin/first", "/bin/second", "/bin/third"];
  expect(paths.map((exe) => seedImage(seed, "/no/such/procfs", 5, exe))).toEqual([true, true, false]);
  expect(seen).toEqual(paths);
});
