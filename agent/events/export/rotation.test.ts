import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FileSink, type FileSinkOptions } from "./file.ts";
import { backupPath, backupsOf, type Rotation } from "./rotation.ts";

let directory = "";
let path = "";
let nowMs = 0;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "rotation-"));
  path = join(directory, "events.log");
  nowMs = Date.now();
});
afterEach(() => rmSync(directory, { recursive: true }));

const line = (text: string) => Buffer.from(`${text}\n`);
const rotation: Rotation = { maxBytes: 8, intervalMs: 0, maxBackups: 0, compress: false };

function open(changes: Partial<Rotation> = {}, options: Partial<FileSinkOptions> = {}): FileSink {
  return new FileSink(path, { now: () => nowMs, rotation: { ...rotation, ...changes }, ...options });
}

/** One write each, a second apart. */
async function write(sink: FileSink, ...texts: string[]): Promise<void> {
  for (const text of texts) {
    sink.write(line(text), 1);
    await sink.flush();
    nowMs += 1_000;
  }
}

/** The files of the directory in the order of their names, the current one last, as text. */
function contents(): string[] {
  return [...backupsOf(path, readdirSync(directory)).reverse(), "events.log"].map((name) => {
    const bytes = readFileSync(join(directory, name));
    return (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString();
  });
}

test("a backup is named after the file and the time", () => {
  expect(backupPath("/var/log/a/events.log", 0)).toBe("/var/log/a/events-1970-01-01T00-00-00.000.log");
  expect(backupPath("events", 0)).toBe("events-1970-01-01T00-00-00.000");
});

test("backups of other files are not taken for ours", () => {
  const time = "1970-01-01T00-00-00.000";
  const ours = [`a-${time}.log.gz`, `a-${time}.log`];
  const others = [
    "a.log",
    `b-${time}.log`,
    `a-b-${time}.log`,
    `a-${time}.txt`,
    `a-${time}.log.gz.partial`,
    "a-x.log",
  ];
  expect(backupsOf("/x/a.log", [...others, ...ours.toReversed()])).toEqual(ours);
});

describe("a file is rotated", () => {
  test("before it would exceed its size", async () => {
    const sink = open();
    await write(sink, "123", "456", "7", "a line that is longer than a whole file", "8");
    await sink.close();
    expect(contents()).toEqual(["123\n456\n", "7\n", "a line that is longer than a whole file\n", "8\n"]);
  });

  test("also in the middle of what has piled up", async () => {
    const sink = open();
    for (const text of ["123", "456", "789", "abc", "def"]) sink.write(line(text), 1);
    await sink.close();
    expect(contents()).toEqual(["123\n456\n", "789\nabc\n", "def\n"]);
    expect(sink.stats).toMatchObject({ events: 5, bytes: 20, rotationErrors: 0 });
  });

  test("with the first event after its interval", async () => {
    const sink = open({ maxBytes: 0, intervalMs: 2_000 });
    await write(sink, "1", "2", "3");
    await sink.close();
    expect(contents()).toEqual(["1\n2\n", "3\n"]);
  });

  test("and what an earlier run left in it counts", async () => {
    writeFileSync(path, "1234567\n");
    const sink = open();
    await write(sink, "8");
    await sink.close();
    expect(contents()).toEqual(["1234567\n", "8\n"]);
  });
});

test("only so many backups are kept, the newest", async () => {
  writeFileSync(join(directory, "events-notes.log"), "not ours");
  const sink = open({ maxBackups: 2 });
  await write(sink, "1111111", "2222222", "3333333", "4444444", "5555555");
  await sink.close();
  expect(contents()).toEqual(["3333333\n", "4444444\n", "5555555\n"]);
  expect(readdirSync(directory)).toContain("events-notes.log");
});

test("backups are compressed, and those are counted too", async () => {
  const sink = open({ maxBackups: 2, compress: true }, { mode: 0o640 });
  await write(sink, "1111111", "2222222", "3333333", "4444444");
  await sink.close();
  const backups = backupsOf(path, readdirSync(directory));
  expect(backups.map((name) => name.slice(-7))).toEqual([".log.gz", ".log.gz"]);
  expect(contents()).toEqual(["2222222\n", "3333333\n", "4444444\n"]);
  for (const name of backups) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o640);
});

test("every file has the mode, whatever the umask", async () => {
  const sink = open({}, { mode: 0o666 });
  await write(sink, "1111111", "2222222");
  await sink.close();
  for (const name of readdirSync(directory)) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o666);
});

test("a clock that stands still overwrites no backup", async () => {
  const sink = open();
  for (const text of ["1111111", "2222222", "3333333"]) {
    sink.write(line(text), 1);
    await sink.flush();
  }
  await sink.close();
  expect(contents()).toEqual(["1111111\n", "2222222\n", "3333333\n"]);
});

test("a file that another rotator has replaced is not renamed", async () => {
  const sink = open();
  sink.write(line("1111111"), 1);
  await sink.flush();
  rmSync(path);
  writeFileSync(join(directory, "other"), "");
  execFileSync("ln", [join(directory, "other"), path]);
  sink.write(line("2222222"), 1);
  await sink.close();
  expect(contents()).toEqual(["2222222\n"]);
});

test("a directory that is gone costs events, which are counted, and comes back", async () => {
  const sink = open();
  await write(sink, "1111111");
  rmSync(directory, { recursive: true });
  await write(sink, "2222222", "3333333");
  mkdirSync(directory);
  await write(sink, "4444444");
  await sink.close();
  expect(contents()).toEqual(["4444444\n"]);
  expect(sink.stats).toMatchObject({ events: 2, failedEvents: 2, errors: 2 });
});

/** Runs a script with a sink in another process, for what would stand in this one's way. */
function inChild(script: string, command: string[] = []): unknown {
  const whole = `
    import { chmodSync, readFileSync, readdirSync } from "node:fs";
    import { FileSink } from "${import.meta.dirname}/file.ts";
    const [path, directory] = ["${path}", "${directory}"];
    const rotation = ${JSON.stringify(rotation)};
    const said = [];
    const options = { now: Date.now, rotation, say: (text) => said.push(text) };
    const line = (text) => Buffer.from(text + "\\n");
    ${script}`;
  const argv = [...command, process.execPath, "--input-type=module", "-e", whole];
  return JSON.parse(execFileSync(argv[0] as string, argv.slice(1), { encoding: "utf8" }));
}

test("in a directory that is read-only the file goes on growing, which is counted and said once", () => {
  const result = inChild(`
    const sink = new FileSink(path, options);
    chmodSync(path, 0o666);
    chmodSync(directory, 0o555);
    if (process.getuid() === 0) process.seteuid(65534);
    for (const text of ["1111111", "2222222", "3333333"]) { sink.write(line(text), 1); await sink.flush(); }
    await sink.close();
    console.log(JSON.stringify({ text: readFileSync(path, "utf8"), stats: sink.stats, said }));`);
  expect(result).toMatchObject({
    text: "1111111\n2222222\n3333333\n",
    stats: { events: 3, failedEvents: 0, rotationErrors: 1 },
    said: [expect.stringMatching(/^rotation of .*events\.log failed: EACCES/)],
  });
});

test("a disk that is full in the middle of a line costs that write only", () => {
  const result = inChild(
    `rotation.maxBytes = 0;
    const sink = new FileSink(path, options);
    for (const text of ["kept", "x".repeat(5000), "also"]) { sink.write(line(text), 1); await sink.flush(); }
    await sink.close();
    console.log(JSON.stringify({ text: readFileSync(path, "utf8"), stats: sink.stats }));`,
    ["prlimit", "--fsize=4096"],
  );
  expect(result).toMatchObject({ text: "kept\nalso\n", stats: { events: 2, failedEvents: 1, errors: 1 } });
});

/** Runs the child on a disk of its own, of 64 KiB, which only it sees. */
const ON_SMALL_DISK = ["unshare", "--map-root-user", "--mount", "sh", "-c"];
const mountSmallDisk = (target: string) => `mount -t tmpfs -o size=64k none ${target}`;
const canMount =
  spawnSync("unshare", [...ON_SMALL_DISK.slice(1), mountSmallDisk("/mnt")], { stdio: "ignore" }).status === 0;

describe.skipIf(!canMount)("on a disk of its own (skipped where no mount namespace can be made)", () => {
  const onSmallDisk = (script: string) =>
    inChild(script, [...ON_SMALL_DISK, `${mountSmallDisk(directory)} && exec "$@"`, "sh"]) as {
      lines: string[];
      stats: object;
      said: string[];
    };
  const fill = `
    const { execFileSync } = await import("node:child_process");
    const { rmSync, writeFileSync } = await import("node:fs");
    const fill = () => { try { writeFileSync(directory + "/rest", Buffer.alloc(1 << 20)); } catch {} };
    const write = async (sink, text) => { sink.write(line(text), 1); await sink.flush(); };
    const end = async (sink) => {
      await sink.close();
      const names = readdirSync(directory).filter((name) => name.startsWith("events")).sort();
      const lines = names.flatMap((name) => readFileSync(directory + "/" + name, "utf8").trimEnd().split("\\n"));
      console.log(JSON.stringify({ lines, stats: sink.stats, said }));
    };`;

  test("a full disk costs events, which are counted, until there is room", () => {
    const { lines, stats, said } = onSmallDisk(`${fill}
      rotation.maxBytes = 0;
      const sink = new FileSink(path, options);
      await write(sink, "first");
      fill();
      const [lost, large] = ["y".repeat(9000), "x".repeat(9000)];
      await write(sink, large); // more than the file's last page has room for
      await write(sink, lost);
      rmSync(directory + "/rest");
      await write(sink, "last");
      await end(sink);`);
    expect(lines).toEqual(["first", "last"]);
    expect(stats).toMatchObject({ events: 2, failedEvents: 2, errors: 2 });
    expect(said[0]).toMatch(/^events lost: 1, because of .*ENOSPC/);
  });

  test("a rotation on a full disk costs events until there is room", () => {
    const { lines, stats } = onSmallDisk(`${fill}
      rotation.maxBytes = 4096;
      const sink = new FileSink(path, options);
      await write(sink, "x".repeat(4090));
      fill();
      await write(sink, "lost".repeat(100)); // the new file gets no page
      rmSync(directory + "/rest");
      await write(sink, "last");
      await end(sink);`);
    expect(lines).toEqual(["last", "x".repeat(4090)].reverse());
    expect(stats).toMatchObject({ events: 2, failedEvents: 1, errors: 1 });
  });

  test("a mount that becomes read-only costs no event, and rotations fail and are counted", () => {
    const { lines, stats, said } = onSmallDisk(`${fill}
      const sink = new FileSink(path, options);
      await write(sink, "1111111");
      execFileSync("mount", ["--bind", directory, directory]);
      execFileSync("mount", ["-o", "remount,bind,ro", directory]);
      for (const text of ["2222222", "3333333"]) await write(sink, text);
      await end(sink);`);
    expect(lines).toEqual(["1111111", "2222222", "3333333"]);
    expect(stats).toMatchObject({ events: 3, failedEvents: 0, rotationErrors: 1 });
    expect(said).toEqual([expect.stringMatching(/^rotation of .*events\.log failed: EROFS/)]);
  });

  test("a file that is removed from a read-only mount comes back when it can be written again", () => {
    const { lines, stats } = onSmallDisk(`${fill}
      rotation.maxBytes = 0;
      const sink = new FileSink(path, options);
      await write(sink, "first");
      rmSync(path);
      execFileSync("mount", ["--bind", directory, directory]);
      execFileSync("mount", ["-o", "remount,bind,ro", directory]);
      await write(sink, "lost");
      execFileSync("umount", [directory]);
      await write(sink, "last");
      await end(sink);`);
    expect(lines).toEqual(["last"]);
    expect(stats).toMatchObject({ events: 2, failedEvents: 1, errors: 1 });
  });
});
