import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { makePipeline } from "../events/testing/pipeline.ts";
import type { Image } from "../process/image.ts";
import { makeBatch, makeExec, makeExit } from "../records/testing/records.ts";
import { MappedCode, parseMappings } from "./mapped-code.ts";

const procfs = mkdtempSync(join(tmpdir(), "maps-"));
afterAll(() => rmSync(procfs, { recursive: true }));

const MAPS = `00400000-00401000 r--p 00000000 08:01 42                         /usr/bin/id
00401000-00408000 r-xp 00001000 08:01 42                         /usr/bin/id
7f0000000000-7f0000100000 rw-p 00000000 00:00 0 
7f0000100000-7f0000101000 rwxp 00000000 00:00 0 
7f0000200000-7f0000300000 r-xp 00028000 08:01 43                 /usr/lib/a b.so (deleted)
7fff00000000-7fff00002000 r-xp 00000000 00:00 0                  [vdso]
`;

function setMaps(pid: number, text: string): void {
  mkdirSync(join(procfs, String(pid)), { recursive: true });
  writeFileSync(join(procfs, String(pid), "maps"), text);
}

function setup(pid = 10) {
  const parts = makePipeline();
  parts.pipeline.handleBatch(
    makeBatch(makeExec({ pid, ktimeNs: 1n, filename: "/usr/bin/id", parentPid: 0 })),
  );
  const image = parts.processes.find(pid, pid * 1_000_000, 0, 1) as Image;
  const clock = { nowMs: 1_000 };
  const isCurrent = (image: Image) => parts.processes.isCurrent(image);
  const code = new MappedCode({ procfs, isCurrent, nowMs: () => clock.nowMs });
  const find = (address: number) => code.find(image, address % 2 ** 32, Math.floor(address / 2 ** 32));
  return { ...parts, image, clock, find };
}

test.each([
  ["code of the program, as its offset in the file", 0x401010, { offset: 0x1010, module: "/usr/bin/id" }],
  ["a library whose file is gone", 0x7f0000200001, { offset: 0x28001, module: "/usr/lib/a b.so (deleted)" }],
  ["the kernel's own", 0x7fff00000100, { offset: 0x100, module: "[vdso]" }],
  ["what is not executable", 0x400010, undefined],
  ["code in no file", 0x7f0000100010, undefined],
  ["the end of a mapping", 0x408000, undefined],
])("%s", (_name, address, want) => {
  setMaps(10, MAPS);
  expect(setup().find(address)).toEqual(want);
});

test("a process is read once, and again a second later for code that it mapped since", () => {
  setMaps(10, MAPS);
  const { find, clock } = setup();
  expect(find(0x600000)).toBeUndefined();
  setMaps(10, `${MAPS}00600000-00601000 r-xp 00000000 08:01 44  /usr/lib/new.so\n`);
  expect(find(0x600000)).toBeUndefined();
  clock.nowMs += 1_000;
  expect(find(0x600000)).toEqual({ offset: 0, module: "/usr/lib/new.so" });
});

test("what was known of a process outlives it, a process that is gone is not asked", () => {
  setMaps(10, MAPS);
  const known = setup();
  known.find(0x401010);
  const late = setup();
  for (const { pipeline } of [known, late]) {
    pipeline.handleBatch(makeBatch(makeExit({ pid: 10, ktimeNs: 5n })));
  }
  known.clock.nowMs += 5_000;
  expect(known.find(0x401010)).toEqual({ offset: 0x1010, module: "/usr/bin/id" });
  expect(late.find(0x401010)).toBeUndefined();
});

test("the mappings of the next image are not those of this one", () => {
  setMaps(10, MAPS);
  const { pipeline, find } = setup();
  pipeline.handleBatch(
    makeBatch(makeExec({ pid: 10, seq: 2, ktimeNs: 5n, filename: "/bin/other", parentPid: 0 })),
  );
  expect(find(0x401010)).toBeUndefined();
});

test("a process without its file is a frame without a name", () => {
  expect(setup(77).find(0x401010)).toBeUndefined();
});

test("reads this process", () => {
  const self = new MappedCode({ procfs: "/proc", isCurrent: () => true, nowMs: () => 0 });
  expect(self.find({ pid: process.pid } as Image, 0, 0)).toBeUndefined();
  expect(parseMappings(MAPS)).toHaveLength(3);
});
