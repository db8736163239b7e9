/**
 * matchBinaries by every path that leads to the executed file: links, relative names, scripts, other roots.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/hook-binaries.guest-test.ts
 *
 * @kernels 5.10, latest: paths are compared by the same programs; latest preempts them
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { makeSelector } from "../../agent/hooks/testing/hooks.ts";
import type { FilterDef } from "../../crds/hook-spec.ts";
import { waitUntil } from "../waiting.ts";
import { ACT, act, makeHookOn, QUIET, run, TestEngine } from "./test-engine.ts";

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());

const directory = mkdtempSync(join(tmpdir(), "links-"));
const links = join(directory, "links");
mkdirSync(links);
const file = join(directory, "file");
copyFileSync(ACT, file);
const link = join(links, "as-called");
symlinkSync("../file", link);

type Binary = Extract<FilterDef, { match: "binary" }>;

const equal = (...values: string[]): Binary => ({ match: "binary", compare: "equal", values, negate: false });
const prefix = (...values: string[]): Binary => ({ ...equal(...values), compare: "prefix" });
const postfix = (...values: string[]): Binary => ({ ...equal(...values), compare: "postfix" });
const not = (filter: Binary): Binary => ({ ...filter, negate: true });

/** How often hooks of a system call with these filters post while `trigger` runs. */
function counts(filters: Binary[], trigger: () => unknown, call = "sys_setfsuid"): number[] {
  const hooks = filters.map((filter) => makeHookOn(call, { selectors: [makeSelector(filter)] }));
  const hits = engine.watch(hooks, trigger);
  return filters.map((_, hook) => hits.filter((hit) => hit.hook === hook).length);
}

describe("a file that is executed through a link", () => {
  const steps = QUIET.split(" ");
  const byLink = () => run(link, steps);

  const rows: Record<string, { filter: Binary; byLink: number; byFile: number }> = {
    "In: the link": { filter: equal("/no/such", link), byLink: 1, byFile: 0 },
    "In: the file": { filter: equal(file), byLink: 1, byFile: 1 },
    "NotIn: the link": { filter: not(equal(link)), byLink: 0, byFile: 1 },
    "NotIn: the file": { filter: not(equal(file)), byLink: 0, byFile: 0 },
    "Prefix: the link's directory": { filter: prefix(`${links}/`), byLink: 1, byFile: 0 },
    "NotPrefix: the link's directory": { filter: not(prefix(`${links}/`)), byLink: 0, byFile: 1 },
    "Postfix: the link's name": { filter: postfix("/as-called"), byLink: 1, byFile: 0 },
    "NotPostfix: the link's name": { filter: not(postfix("/as-called")), byLink: 0, byFile: 1 },
    "In: neither": { filter: equal(links, `${link}x`, "as-called"), byLink: 0, byFile: 0 },
  };
  test("matches by the link and by the file, with every operator", () => {
    const filters = Object.values(rows).map(({ filter }) => filter);
    const [linked, direct] = [counts(filters, byLink), counts(filters, () => run(file, steps))];
    assert.deepEqual(
      Object.fromEntries(Object.keys(rows).map((name, n) => [name, [linked[n], direct[n]]])),
      Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, [row.byLink, row.byFile]])),
    );
  });

  test("is known to the processes that it starts, until they execute another one", () => {
    const filters = [equal(link), { ...equal(link), of: "parent" as const }];
    assert.deepEqual(
      counts(filters, () => run(link, ["fork", "fork", ...steps])),
      [1, 1],
    );
    assert.deepEqual(
      counts(filters, () => run(link, ["fork", "exec", ACT, ...steps])),
      [0, 1],
    );
    assert.deepEqual(
      counts(filters, () => run(link, ["exec", ACT, ...steps])),
      [0, 0],
    );
  });

  test("is followed by its link", () => {
    const followed: Binary = { ...equal(link), followChildren: true };
    const other: Binary = { ...equal(`${link}x`), followChildren: true };
    assert.deepEqual(
      counts([followed, other], () => run(link, ["fork", "exec", ACT, ...steps])),
      [1, 0],
    );
  });

  test("matches by the path that a relative name stands for", () => {
    const filters = [equal(link), not(equal(link)), postfix("/as-called")];
    for (const [cwd, name] of [
      [links, "./as-called"],
      [directory, "links/as-called"],
      ["/", link.slice(1)],
    ] as const) {
      assert.deepEqual(
        counts(filters, () => run(name, steps, { cwd })),
        [1, 0, 1],
        name,
      );
    }
  });

  test("does not match by a path that leads up again: it could claim any place", () => {
    const claimed = `${links}/../${basename(file)}`;
    const filters = [equal(claimed), prefix(links), not(prefix(links))];
    for (const path of [claimed, `${links}/./as-called`, `${directory}//links/as-called`]) {
      assert.deepEqual(
        counts(filters, () => run(path, steps)),
        [0, 0, 1],
        path,
      );
    }
    assert.deepEqual(
      counts(filters, () => run("../file", steps, { cwd: links })),
      [0, 0, 1],
    );
  });

  test("in another root matches by the paths there", () => {
    const root = join(directory, "root");
    mkdirSync(join(root, "tools"), { recursive: true });
    symlinkSync("tools", join(root, "bin"));
    for (const needed of ["lib", "lib64", "usr"]) mkdirSync(join(root, needed), { recursive: true });
    copyFileSync(ACT, join(root, "tools/act"));
    const inRoot = `cd ${root} && for d in lib lib64 usr; do mount --rbind /$d $d; done && exec chroot . /bin/act ${QUIET}`;
    const filters = [
      equal("/bin/act"),
      equal("/tools/act"),
      not(equal("/bin/act")),
      equal(join(root, "bin/act")),
    ];
    assert.deepEqual(
      counts(filters, () => run("unshare", ["--mount", "sh", "-c", inRoot])),
      [1, 1, 0, 0],
    );
  });
});

describe("a script", () => {
  const script = join(directory, "script");
  writeFileSync(script, "#!/bin/sh\numask 077\n", { mode: 0o755 });
  const shell = run("readlink", ["-f", "/bin/sh"]).stdout.trim();

  test("matches by its own path, by the interpreter that it names and by that one's file", () => {
    const filters = [
      equal(script),
      equal("/bin/sh"),
      equal(shell),
      not(equal("/bin/sh")),
      not(equal("/bin/su")),
    ];
    assert.deepEqual(counts(filters, () => run(script, []), "sys_umask").map(Boolean), [
      true,
      true,
      true,
      false,
      true,
    ]);
  });
});

describe("a shell as events name it", () => {
  const umask = () => run("/bin/sh", ["-c", "umask 077"]);

  test("matches In and not NotIn, and survives a NotIn with Sigkill", () => {
    assert.deepEqual(counts([equal("/bin/sh"), not(equal("/bin/sh"))], umask, "sys_umask").map(Boolean), [
      true,
      false,
    ]);
    const selectors = [{ filters: [not(equal("/bin/sh"))], actions: [{ action: "Sigkill" as const }] }];
    const hook = engine.attach(makeHookOn("sys_umask", { selectors }));
    const ends = [umask(), act("call 95:63")].map(({ signal }) => signal);
    hook.detach();
    assert.deepEqual(ends, [null, "SIGKILL"]);
  });
});

test("a child that has executed nothing runs its creator's file, also when that has ended", () => {
  const script = "(while kill -0 $$; do :; done; umask 077) 2>/dev/null & exit 0";
  const orphan = () => run("/bin/sh", ["-c", script]);
  const filters = [equal("/bin/sh"), equal(realpathSync("/bin/sh")), not(equal("/bin/sh"))];
  assert.deepEqual(counts(filters, orphan, "sys_umask").map(Boolean), [true, true, false]);
});

describe("what is kept of a file", () => {
  interface Slot {
    pid: number;
    claims: number;
  }
  interface Variable {
    image_slots?: Slot[];
    image_users?: number[];
  }
  interface Entry<Value> {
    formatted: { value: Value };
  }
  const bpftool = (...args: string[]) => {
    const { stdout, pid } = spawnSync("bpftool", ["-j", ...args], { maxBuffer: 64 << 20, encoding: "utf8" });
    return { read: JSON.parse(stdout), pid };
  };
  const dump = <Value>(...map: string[]) => {
    const { read, pid } = bpftool("map", "dump", ...map);
    return { entries: read as Entry<Value>[], pid };
  };
  const count = (map: string) => dump("name", map).entries.length;

  /** The variables of image.h, without the slot of the program that reads them. */
  const variables = () => {
    const maps = bpftool("map", "list").read as { id: number; name?: string }[];
    const { id } = maps.find(({ name }) => name?.endsWith(".bss")) ?? {};
    const { entries, pid: reader } = dump<{ ".bss": Variable[] }>("id", `${id}`);
    const all = entries[0]?.formatted.value[".bss"] ?? [];
    return {
      slots: all.flatMap((variable) => variable.image_slots ?? []).filter(({ pid }) => pid !== reader),
      counts: all.flatMap((variable) => variable.image_users ?? []),
    };
  };

  const slotOwners = () => variables().slots.flatMap(({ pid }) => (pid === 0 ? [] : [pid]));
  const isRunning = (pid: number) => existsSync(`/proc/${pid}`);

  const kept = () => {
    const { slots, counts } = variables();
    return {
      images: count("process_images"),
      counts: counts.filter((users) => users !== 0).length,
      names: count("asked_names"),
      processes: slots.filter(({ pid }) => pid !== 0).length,
      claims: slots.filter(({ claims }) => claims !== 0).length,
    };
  };

  test("goes with the last process that runs it", async (t) => {
    const before = kept();
    const child = spawn(link, ["fork", "fork", "read"], { stdio: ["pipe", "pipe", "inherit"] });
    t.after(() => child.stdin.end("go\n"));
    await once(child.stdout, "data");
    const [images, names, processes] = [before.images + 1, before.names + 1, before.processes + 3];
    assert.deepEqual(kept(), { images, counts: images, names, processes, claims: processes });
    child.stdin.end("go\n");
    await once(child, "close");
    assert.deepEqual(kept(), before);
  });

  test("goes with hundreds of processes that fork and execute at once", async () => {
    const before = kept();
    const script =
      "for i in 1 2 3 4 5 6 7 8; do (true) & (/bin/true) & (exec /bin/sh -c '(true)& true') & done; wait";
    const shells = Array.from({ length: 20 }, () => spawn("/bin/sh", ["-c", script], { stdio: "ignore" }));
    await Promise.all(shells.map((shell) => once(shell, "close")));
    // Process 1 reaps some of them.
    await waitUntil({
      what: "the end of all processes",
      probe: async () => slotOwners().filter(isRunning).length === before.processes,
      state: async () => JSON.stringify(kept()),
      intervalMs: 100,
    });
    const missed = slotOwners().filter((pid) => !isRunning(pid));
    assert.ok(missed.length <= engine.engine.processStats().missed, "exits that the kernel has not counted");
    for (const pid of missed) engine.engine.forgetProcess(pid);
    assert.deepEqual(kept(), before);
  });

  test("can be taken from a process whose exit was missed", async (t) => {
    const before = kept();
    const child = spawn(link, ["read"], { stdio: ["pipe", "pipe", "inherit"] });
    t.after(() => child.stdin.end("go\n"));
    await once(child.stdout, "data");
    engine.engine.forgetProcess(child.pid as number);
    assert.deepEqual(kept(), before);
    engine.takeRecords();
    child.stdin.end("go\n");
    await once(child, "close");
    const exits = engine.takeRecords().filter(({ kind, pid }) => kind === "exit" && pid === child.pid);
    assert.equal(exits.length, 1);
    assert.deepEqual(kept(), before);
  });
});
