/**
 * Privileges that an exec gains by the file's mode and capabilities, also inside user namespaces.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/exec-privileges.guest-test.ts
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, copyFileSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exitOf } from "../../lib/testing/child-process.ts";
import { ACT, act, NR, run, TestEngine, withoutTypes } from "./test-engine.ts";

const UNSHARE = 272;
const NEWUSER = 0x1000_0000;
const SETUID = 1 << 0;
const SETGID = 1 << 1;
const FILE_CAPS = 1 << 2;
const SETUID_ROOT = 1 << 3;
const SETGID_ROOT = 1 << 4;
const KNOWN = 1 << 15;
const directory = mkdtempSync(join(tmpdir(), "privileges-"));
chmodSync(directory, 0o755);

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());

/** A program with this owner and mode. */
function program(name: string, mode: number, owner = 0): string {
  const file = join(directory, name);
  copyFileSync(ACT, file);
  chownSync(file, owner, owner);
  chmodSync(file, mode);
  return file;
}

/** Privileges that the last exec of a file gained. */
function gained(file: string, trigger: () => unknown, by = engine): number {
  by.takeRecords();
  trigger();
  return lastGain(file, by);
}

function lastGain(file: string, by = engine): number {
  const execs = by.takeRecords().filter(({ kind, fields }) => kind === "exec" && fields.filename === file);
  assert.ok(execs.length > 0, `${file} was not executed`);
  return execs.at(-1)?.fields.privileges as number;
}

/** By a user without capabilities. */
const byUser = (file: string) => () =>
  act(`call 119:1000:1000:1000 call ${NR.setresuid}:1000:1000:1000 exec ${file} exit 0`);

const withCapability = program("capability", 0o755);
const withBoth = program("both", 0o4755);
for (const file of [withCapability, withBoth]) run("setcap", ["cap_net_raw+ep", file]);

const cases: Record<string, { file: string; want: number }> = {
  "nothing by a plain file": { file: program("plain", 0o755), want: 0 },
  "root by setuid": { file: program("setuid", 0o4755), want: SETUID | SETUID_ROOT },
  "the group root by setgid": { file: program("setgid", 0o2755), want: SETGID | SETGID_ROOT },
  "another user by setuid": { file: program("other", 0o4755, 1234), want: SETUID },
  "nothing by one's own setuid file": { file: program("own", 0o6755, 1000), want: 0 },
  "capabilities of the file": { file: withCapability, want: FILE_CAPS },
  "both, where a setuid file has capabilities too": {
    file: withBoth,
    want: SETUID | SETUID_ROOT | FILE_CAPS,
  },
};
for (const [name, { file, want }] of Object.entries(cases)) {
  test(name, () => {
    assert.equal(gained(file, byUser(file)), KNOWN | want);
  });
}

test("the same where the kernel refuses tracing programs", () => {
  const untyped = new TestEngine({ bpf: withoutTypes("funcProto") });
  const gains = Object.values(cases).map(({ file }) => gained(file, byUser(file), untyped));
  const programs = run("bpftool", ["prog", "list"]).stdout;
  untyped.close();
  assert.deepEqual(
    gains,
    Object.values(cases).map(({ want }) => KNOWN | want),
  );
  const preempts = untyped.entryKind() === "kprobe"; // no tracing program is tried there
  for (const type of preempts ? ["kprobe"] : ["kprobe", "tracing"])
    assert.match(programs, new RegExp(`${type}\\s+name process_privile`));
});

test("root gains nothing by being root", () => {
  assert.equal(
    gained(ACT, () => act(`drop 21 exec ${ACT} exit 0`)),
    KNOWN,
  );
});

test("root of a user namespace counts as root", async () => {
  const file = program("inside", 0o6755, 100_000);
  const user = `call 119:1000:1000:1000 call ${NR.setresuid}:1000:1000:1000 exec ${file} exit 0`;
  const inside = spawn(ACT, `call ${UNSHARE}:${NEWUSER} read ${user}`.split(" "), {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(inside.stdout, "data");
  for (const map of ["uid_map", "gid_map"]) writeFileSync(`/proc/${inside.pid}/${map}`, "0 100000 2000\n");
  engine.takeRecords();
  inside.stdin.end("go\n");
  await exitOf(inside);
  assert.equal(lastGain(file), KNOWN | SETUID | SETUID_ROOT | SETGID | SETGID_ROOT);
});
