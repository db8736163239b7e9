/**
 * What an exec gains by the file's mode and capabilities, also where root is somebody else outside.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/exec-privileges.guest-test.ts
 */
import assert from "node:assert/strict";
import { chmodSync, chownSync, copyFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ACT, act, NR, run, TestEngine } from "./test-engine.ts";

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

/** What the last exec of a file gained. */
function gained(file: string, trigger: () => unknown): number {
  engine.takeRecords();
  trigger();
  const execs = engine
    .takeRecords()
    .filter(({ kind, fields }) => kind === "exec" && fields.filename === file);
  assert.ok(execs.length > 0, `${file} was not executed`);
  return execs.at(-1)?.fields.privileges as number;
}

/** By a user without capabilities. */
const byUser = (file: string) => () =>
  act(`call 119:1000:1000:1000 call ${NR.setresuid}:1000:1000:1000 exec ${file} exit 0`);

const withCapability = program("capability", 0o755);
run("setcap", ["cap_net_raw+ep", withCapability]);

const cases: Record<string, { file: string; want: number }> = {
  "nothing by a plain file": { file: program("plain", 0o755), want: 0 },
  "root by setuid": { file: program("setuid", 0o4755), want: SETUID | SETUID_ROOT },
  "the group root by setgid": { file: program("setgid", 0o2755), want: SETGID | SETGID_ROOT },
  "another user by setuid": { file: program("other", 0o4755, 1234), want: SETUID },
  "nothing by one's own setuid file": { file: program("own", 0o6755, 1000), want: 0 },
  "capabilities of the file": { file: withCapability, want: FILE_CAPS },
};
for (const [name, { file, want }] of Object.entries(cases)) {
  test(name, () => {
    assert.equal(gained(file, byUser(file)), KNOWN | want);
  });
}

test("root gains nothing by being root", () => {
  assert.equal(
    gained(ACT, () => act(`drop 21 exec ${ACT} exit 0`)),
    KNOWN,
  );
});

test("root of a user namespace counts as root", () => {
  const file = program("inside", 0o6755, 100_000);
  const map = ["--map-users=100000,0,2000", "--map-groups=100000,0,2000"];
  const steps = `call 119:1000:1000:1000 call ${NR.setresuid}:1000:1000:1000 exec ${file} exit 0`;
  const inside = () => run("unshare", ["-U", ...map, "-S", "0", "-G", "0", ACT, ...steps.split(" ")]);
  assert.equal(gained(file, inside), KNOWN | SETUID | SETUID_ROOT | SETGID | SETGID_ROOT);
});
