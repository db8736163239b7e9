import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FileSink } from "./file.ts";
import { StdoutSink } from "./stdout.ts";
import { WriteQueue, type WriteTarget } from "./write-queue.ts";

const directory = mkdtempSync(join(tmpdir(), "export-"));
afterAll(() => rmSync(directory, { recursive: true }));
let path = "";
let nowMs = 0;
let counter = 0;
beforeEach(() => {
  path = join(directory, `events-${counter++}.jsonl`);
  nowMs += 10_000;
});
const options = { now: () => nowMs };
const line = (text: string) => Buffer.from(`${text}\n`);

/** Each as a batch by itself: the first is being written when the others come. */
async function writeApart(queue: WriteQueue, ...texts: string[]): Promise<void> {
  for (const text of texts) {
    queue.write(line(text), 1);
    await Promise.resolve();
  }
}

/** A destination that a test opens and shuts. */
class SlowTarget implements WriteTarget {
  readonly written: string[] = [];
  #gate = Promise.withResolvers<void>();
  failure: Error | undefined;

  async write(parts: readonly Uint8Array[]): Promise<void> {
    await this.#gate.promise;
    if (this.failure) throw this.failure;
    this.written.push(Buffer.concat(parts).toString());
  }

  open(): void {
    this.#gate.resolve();
  }

  async close(): Promise<void> {}
}

describe("write queue", () => {
  test("writes in order and puts what has piled up into one write", async () => {
    const target = new SlowTarget();
    const queue = new WriteQueue(target, options);
    await writeApart(queue, "a", "b", "c");
    target.open();
    await queue.flush();
    expect(target.written).toEqual(["a\n", "b\nc\n"]);
    expect(queue.stats).toMatchObject({ events: 3, bytes: 6, lastExportSeconds: nowMs / 1000 });
  });

  test("puts the chunks of one batch into one write", async () => {
    const target = new SlowTarget();
    const queue = new WriteQueue(target, options);
    for (const text of ["a", "b", "c"]) queue.write(line(text), 1);
    target.open();
    await queue.flush();
    expect(target.written).toEqual(["a\nb\nc\n"]);
  });

  test("drops and counts beyond its bound, and takes events again afterwards", async () => {
    const target = new SlowTarget();
    const queue = new WriteQueue(target, { ...options, maxBytes: 10 });
    const losses = { queue: 0, export: 0, client: 0 };
    queue.write(line("1234567"), 2, [losses]);
    queue.write(line("89"), 3, [losses, losses]);
    queue.write(line("x"), 1, [losses]);
    target.open();
    await queue.flush();
    queue.write(line("later"), 1);
    await queue.flush();
    expect(target.written.join("")).toBe("1234567\nx\nlater\n");
    expect(queue.stats).toMatchObject({ events: 4, overflowedEvents: 3 });
    expect(losses).toEqual({ queue: 2, export: 0, client: 0 });
  });

  describe("asks for time while more than half of it is full", () => {
    beforeEach(() => void vi.useFakeTimers());
    afterEach(() => void vi.useRealTimers());

    const fill = async (target: WriteTarget) => {
      const queue = new WriteQueue(target, { ...options, maxBytes: 11 });
      await writeApart(queue, "1", "234");
      return queue;
    };

    test("until enough has gone out", async () => {
      const target = new SlowTarget();
      const queue = await fill(target);
      const room = queue.room();
      expect(room).toBeDefined();
      expect(queue.room()).toBe(room);
      target.open();
      await room;
      expect(target.written).toEqual(["1\n"]);
      expect(queue.room()).toBeUndefined();
    });

    test("but not of who waits for a destination that takes nothing", async () => {
      const target = new SlowTarget();
      const queue = await fill(target);
      const room = queue.room();
      await vi.advanceTimersByTimeAsync(1_001);
      await room;
      expect(target.written).toEqual([]);
      expect(queue.room()).toBeUndefined();
      target.open();
      await queue.flush();
      queue.write(line("234567"), 1);
      expect(queue.room()).toBeDefined();
    });

    test("as long as something goes out", async () => {
      const writes: PromiseWithResolvers<void>[] = [];
      const target: WriteTarget = {
        write: () => {
          writes.push(Promise.withResolvers());
          return (writes.at(-1) as PromiseWithResolvers<void>).promise;
        },
        close: async () => {},
      };
      const queue = await fill(target);
      queue.write(line("5678"), 1); // what waits behind the first write
      let isOver = false;
      void queue.room()?.then(() => (isOver = true));
      await vi.advanceTimersByTimeAsync(900);
      writes[0]?.resolve();
      await vi.advanceTimersByTimeAsync(900);
      expect([writes.length, isOver]).toEqual([2, false]);
      writes[1]?.resolve();
      await queue.flush();
      expect(isOver).toBe(true);
    });
  });

  test("takes a write for done that ended while the event loop was busy", async () => {
    const gate = Promise.withResolvers<void>();
    let begun = 0;
    const target: WriteTarget = {
      // The first as a file does, in a thread.
      write: async () => void (await (begun++ === 0 ? stat(directory) : gate.promise)),
      close: async () => {},
    };
    const queue = new WriteQueue(target, { ...options, maxBytes: 20 });
    await writeApart(queue, "1", "2345678", "3456");
    let isOver = false;
    void queue.room()?.then(() => (isOver = true));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_100);
    await vi.waitFor(() => expect(begun).toBe(2));
    expect(isOver).toBe(false);
    gate.resolve();
    await queue.flush();
    expect(isOver).toBe(true);
  });

  test("counts what the destination refuses and goes on", async () => {
    const target = new SlowTarget();
    const said: string[] = [];
    const queue = new WriteQueue(target, { ...options, say: (text) => said.push(text) });
    target.open();
    target.failure = new Error("ENOSPC");
    queue.write(line("lost"), 2);
    await queue.flush();
    target.failure = undefined;
    queue.write(line("kept"), 1);
    await queue.flush();
    expect(target.written).toEqual(["kept\n"]);
    expect(queue.stats).toMatchObject({ events: 1, failedEvents: 2, errors: 1 });
    expect(said).toEqual(["events lost: 2, because of ENOSPC"]);
  });
});

describe("file", () => {
  test("appends, readable by its owner only", async () => {
    writeFileSync(path, "old\n", { mode: 0o600 });
    const sink = new FileSink(path, options);
    sink.write(line("new"), 1);
    await sink.close();
    expect(readFileSync(path, "utf8")).toBe("old\nnew\n");
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test("does not append to a line that a crash has cut", async () => {
    writeFileSync(path, '{"cut":');
    const sink = new FileSink(path, options);
    sink.write(line("new"), 1);
    await sink.close();
    expect(readFileSync(path, "utf8")).toBe('{"cut":\nnew\n');
  });

  test("a removed file comes back with the next event", async () => {
    const sink = new FileSink(path, options);
    sink.write(line("one"), 1);
    await sink.flush();
    rmSync(path);
    sink.write(line("two"), 1);
    await sink.close();
    expect(readFileSync(path, "utf8")).toBe("two\n");
  });

  test.each([
    ["a second later", 1_001],
    ["after the clock was set back", -3_600_000],
  ])("a file that was renamed is followed by a new one %s", async (_name, ms) => {
    const sink = new FileSink(path, options);
    sink.write(line("one"), 1);
    await sink.flush();
    renameSync(path, `${path}.1`);
    nowMs += ms;
    sink.write(line("two"), 1);
    await sink.close();
    expect([readFileSync(`${path}.1`, "utf8"), readFileSync(path, "utf8")]).toEqual(["one\n", "two\n"]);
  });

  test("reopens on demand: a rotated file gets nothing more", async () => {
    const sink = new FileSink(path, options);
    sink.write(line("one"), 1);
    await sink.flush();
    renameSync(path, `${path}.1`);
    sink.reopen();
    sink.write(line("two"), 1);
    await sink.close();
    expect([readFileSync(`${path}.1`, "utf8"), readFileSync(path, "utf8")]).toEqual(["one\n", "two\n"]);
  });

  test("a full disk is survived and counted", async () => {
    const sink = new FileSink("/dev/full", options);
    sink.write(line("lost"), 3);
    await sink.flush();
    sink.write(line("lost"), 1);
    await sink.close();
    expect(sink.stats).toMatchObject({ events: 0, failedEvents: 4, errors: 2 });
  });

  test("says so when it cannot be opened", () => {
    expect(() => new FileSink(join(directory, "missing", "events"), options)).toThrow("ENOENT");
  });

  test("says so when it is a pipe that nobody reads, and does not wait for a reader", () => {
    execFileSync("mkfifo", [path]);
    expect(() => new FileSink(path, options)).toThrow(`export to ${path}: no process reads this pipe`);
  });
});

describe("pipe", () => {
  const sinks: Record<string, () => FileSink | StdoutSink> = {
    "named as a file": () => new FileSink(path, options),
    "as standard output": () => new StdoutSink({ ...options, fd: openSync(path, "w") }),
  };
  const openReader = () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);

  test.each(Object.entries(sinks))(
    "%s: what its reader has cut does not run into the next line",
    async (_, open) => {
      execFileSync("mkfifo", [path]);
      const first = openReader();
      const sink = open();
      sink.write(line("a".repeat(1 << 20)), 1);
      // a byte that arrives shows that the pipe is as full as it gets
      await expect.poll(() => readSome(first, 1)).toBe("a");
      closeSync(first);
      await sink.flush();
      const second = openReader();
      sink.write(line("b"), 1);
      let text = "";
      await expect.poll(() => (text += readSome(second, 1 << 16))).toMatch(/^a+\nb\n$/);
      await sink.close();
      closeSync(second);
      expect(sink.stats).toMatchObject({ events: 1, failedEvents: 1 });
    },
  );

  test("named as a file: its reader sees no end before there is one", async () => {
    execFileSync("mkfifo", [path]);
    const reader = openReader();
    const sink = new FileSink(path, options);
    expect(() => readSync(reader, Buffer.alloc(1))).toThrow("EAGAIN"); // at the end it would read nothing
    await sink.close();
    expect(readSync(reader, Buffer.alloc(1))).toBe(0);
    closeSync(reader);
  });

  test("that is full leaves the process free to end", async () => {
    execFileSync("mkfifo", [path]);
    const reader = openReader();
    const script = `
      import { FileSink } from "${import.meta.dirname}/file.ts";
      const sink = new FileSink("${path}", { now: Date.now });
      process.on("SIGTERM", () => process.exit(3));
      setInterval(() => {}, 1000);
      sink.write(Buffer.alloc(1 << 20, "a"), 1);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
    const ended = once(child, "exit");
    await expect.poll(() => readSome(reader, 1), { timeout: 10_000 }).toBe("a");
    child.kill("SIGTERM");
    await ended;
    closeSync(reader);
    expect(child.exitCode).toBe(3);
  });
});

/** What a descriptor that does not block has, up to `size` bytes. */
function readSome(fd: number, size: number): string {
  const bytes = Buffer.alloc(size);
  try {
    return bytes.toString("utf8", 0, readSync(fd, bytes));
  } catch {
    return "";
  }
}

test("standard output: everything goes to the descriptor", async () => {
  const sink = new StdoutSink({ ...options, fd: openSync(path, "w") });
  sink.write(line("a".repeat(100_000)), 1);
  sink.write(line("b"), 1);
  await sink.close();
  expect(readFileSync(path, "utf8")).toBe(`${"a".repeat(100_000)}\nb\n`);
  expect(sink.stats.events).toBe(2);
});
