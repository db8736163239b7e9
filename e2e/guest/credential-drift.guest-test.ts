/**
 * Credential drift: what writes to credentials past commit_creds is noticed, and nothing that the kernel does itself is.
 *
 *   npm run guest -- --test-modules --kernel 6.1 -- node --test e2e/guest/credential-drift.guest-test.ts
 */
import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { makeArgs } from "../../agent/hooks/testing/hooks.ts";
import { DRIFT_AT_COMMIT, DRIFT_AT_EXIT, DRIFT_AT_FORK, DRIFT_OF_HOOK } from "../../agent/records/layout.ts";
import { waitUntil } from "../waiting.ts";
import { modulesDirectory } from "./kernel-modules.ts";
import type { TestRecord } from "./records.ts";
import { ACT, act, isDrift, makeHookOn, NR, QUIET, run, TestEngine } from "./test-engine.ts";

const MODULE = join(modulesDirectory(release()), "write_cred.ko");
const skip = existsSync(MODULE) ? false : `${MODULE} is not built: boot the guest with --test-modules`;
const SETUID_1000 = `call ${NR.setresuid}:1000:1000:1000`;
const ALL_IDS = ["uid", "suid", "euid", "fsuid"];

let engine: TestEngine;
before(() => {
  engine = new TestEngine({ credentialDrift: true });
});
after(() => engine.close());

const driftsIn = (records: readonly TestRecord[]) => records.filter(isDrift);

/** What was noticed: by which program, what had changed, and whether an exec was under way. */
const shown = ({ fields, extras }: TestRecord) => ({
  id: fields.hook_id,
  changed: extras.change?.changed,
  inExec: fields.in_exec === 1,
});

/** Runs `act` with these steps up to `read`, writes to its credentials, lets it go on, and returns what was noticed. */
async function driftOf(how: "ids" | "caps" | "swap", before: string, rest: string): Promise<TestRecord[]> {
  engine.takeRecords();
  const child = spawn(ACT, `${before} read ${rest}`.split(" "));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  insertModule(child, how);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.stdin.end("go\n");
  await ended;
  return driftsIn(engine.takeRecords());
}

/** The module does its work while it is loaded, and refuses to stay. */
function insertModule({ pid }: ChildProcessWithoutNullStreams, how: string): void {
  const { stdout } = run("sh", ["-c", `insmod ${MODULE} pid=${pid} how=${how} 2>&1 || true`]);
  assert.match(stdout, /Operation canceled|ECANCELED|125/, "the module has written");
}

describe("credentials that something else than the kernel has written", { skip }, () => {
  test("are noticed at exit, with old and new", async () => {
    const [drift, ...more] = await driftOf("ids", SETUID_1000, "exit 0");
    assert.deepEqual(
      [shown(drift as TestRecord), more.length],
      [{ id: DRIFT_AT_EXIT, changed: ALL_IDS, inExec: false }, 0],
    );
    const { old, new: now } = drift?.extras.change ?? {};
    assert.deepEqual([old?.uid, old?.euid, now?.uid, now?.euid], [1000, 1000, 0, 0]);
    assert.equal(drift?.uid, 0);
  });

  test("are noticed before the kernel commits others, and once", async () => {
    const drifts = await driftOf("caps", SETUID_1000, "drop 21 drop 22 exit 0");
    assert.deepEqual(drifts.map(shown), [
      { id: DRIFT_AT_COMMIT, changed: ["capPermitted", "capEffective"], inExec: false },
    ]);
  });

  test("are noticed at exec", async () => {
    const drifts = await driftOf("ids", SETUID_1000, `exec ${ACT} exit 0`);
    assert.deepEqual(
      drifts.map(({ fields }) => fields.hook_id),
      [DRIFT_AT_COMMIT],
    );
  });

  test("are noticed at a fork, and the child is not reported again", async () => {
    const drifts = await driftOf("ids", SETUID_1000, "fork exit 0");
    assert.deepEqual(drifts.map(shown), [{ id: DRIFT_AT_FORK, changed: ALL_IDS, inExec: false }]);
  });

  test("are noticed where the pointers to them were swapped", async () => {
    const [drift, ...more] = await driftOf("swap", `drop 21 ${SETUID_1000}`, "exit 0");
    assert.deepEqual([drift?.fields.hook_id, more.length], [DRIFT_AT_EXIT, 0]);
    const changed = drift?.extras.change?.changed ?? [];
    assert.ok(
      [...ALL_IDS, "capEffective"].every((field) => changed.includes(field as never)),
      `${changed}`,
    );
  });

  test("are noticed by a hook that reads credentials, before it is over with the process", async () => {
    const hook = engine.attach(
      makeHookOn("security_capable", { args: [{ index: 0, type: "cred" }], selectors: [] }),
    );
    const drifts = await driftOf("ids", SETUID_1000, `call ${NR.unshare}:0x20000 exit 0`);
    hook.detach();
    assert.deepEqual(
      drifts.map(({ fields }) => fields.hook_id),
      [DRIFT_OF_HOOK | hook.id],
    );
  });
});

describe("what the kernel does itself is no drift", () => {
  const ways: Record<string, () => unknown> = {
    "changes of ids, capabilities and groups": () =>
      act(`call ${NR.setgroups}:0:0 drop 21 call ${NR.prctl}:8:1 ${SETUID_1000} ${QUIET} exit 0`),
    "calls that fail": () => act(`${SETUID_1000} call ${NR.setuid}:0 call ${NR.setgid}:0 exit 0`),
    "forks, threads and their execs": () =>
      act(`fork thread ${NR.setuid}:1000 fork orphan exec ${ACT} fork exit 0`),
    "user namespaces, made and entered": () => {
      act("userns fork exit 0");
      act("join-userns exit 0");
      run("unshare", ["--user", "--map-root-user", "--fork", "--pid", "true"]);
    },
    "a program with the set-user-ID bit": () =>
      run("setpriv", ["--reuid", "1000", "--clear-groups", "su", "--version"]),
    "credentials that the kernel takes for a while": () => {
      act(`call ${NR.access}:@/etc/shadow:4 exit 0`);
      run("cp", ["/etc/passwd", `/tmp/copy-${process.pid}`]); // overlayfs acts as the mounter
    },
    keyrings: () => act(`call ${NR.keyctl}:1:0 call ${NR.keyctl}:0:-3:1 exec ${ACT} exit 0`),
    "a helper that the kernel starts": () => run("sh", ["-c", "modprobe no-such-module || true"]),
  };
  for (const [name, trigger] of Object.entries(ways)) {
    test(name, () => {
      const hook = engine.attach(makeHookOn("commit_creds", { args: makeArgs("cred") }));
      engine.takeRecords();
      trigger();
      assert.deepEqual(driftsIn(engine.takeRecords()).map(shown), []);
      hook.detach();
    });
  }
});

/** `act` with these steps, stopped at the first `read`. */
async function startStopped(steps: string): Promise<ChildProcessWithoutNullStreams> {
  const child = spawn(ACT, steps.split(" "));
  await once(child.stdout, "data");
  return child;
}

/** Lets it go on up to its next `read`. */
async function goOn(child: ChildProcessWithoutNullStreams): Promise<void> {
  child.stdin.write("go\n");
  await once(child.stdout, "data");
}

/** Lets it go on to its end. */
async function finish(child: ChildProcessWithoutNullStreams): Promise<void> {
  child.stdin.write("go\n");
  await once(child, "exit");
}

describe("a policy that asks for it while others run", () => {
  const ASKS = makeHookOn("sys_setfsuid", { drift: true });
  let own: TestEngine;
  before(() => {
    own = new TestEngine({ credentialDrift: false });
  });
  after(() => own.close());

  const list = (kind: "prog" | "map") =>
    JSON.parse(run("bpftool", ["-j", kind, "list"]).stdout) as { name?: string; max_entries?: number }[];
  /** Sensors, and their maps; a placeholder has one entry. */
  const present = () => ({
    programs: list("prog").filter(({ name }) => name === "drift_commit").length,
    maps: list("map").filter(({ name, max_entries = 0 }) => name === "cred_states" && max_entries > 1).length,
  });

  test("brings the sensor and its map with it, and takes them away", async () => {
    const before = present();
    const hook = own.attach(ASKS);
    const during = present();
    hook.detach();
    await waitUntil({
      what: "the kernel has freed programs and map",
      probe: async () => isDeepStrictEqual(present(), before),
      state: async () => JSON.stringify(present()),
      intervalMs: 100,
    });
    assert.deepEqual(during, { programs: before.programs + 1, maps: before.maps + 1 });
  });

  test("leaves the hooks that are attached alone", () => {
    const plain = own.attach(makeHookOn("sys_setuid", { args: makeArgs("int") }));
    const hits = () => own.hitsOf([plain], () => act(`call ${NR.setuid}:0 exit 0`)).length;
    const asking = own.attach(ASKS);
    const during = hits();
    asking.detach();
    assert.deepEqual([during, hits()], [1, 1]);
    plain.detach();
  });

  test("sees no drift in processes that ran before", async () => {
    const child = await startStopped(`${SETUID_1000} read drop 21 fork exit 0`);
    own.takeRecords();
    const hook = own.attach(ASKS);
    await finish(child);
    assert.deepEqual(driftsIn(own.takeRecords()).map(shown), []);
    hook.detach();
  });

  test("knows nothing of what an earlier one saw", async () => {
    const child = await startStopped(`read drop 21 read ${SETUID_1000} read exit 0`);
    own.takeRecords();
    const first = own.attach(ASKS);
    await goOn(child);
    first.detach();
    await goOn(child);
    const second = own.attach(ASKS);
    await finish(child);
    assert.deepEqual(driftsIn(own.takeRecords()).map(shown), []);
    second.detach();
  });

  test("notices drift of a process that ran before, once it has been by", { skip }, async () => {
    const child = await startStopped(`read ${SETUID_1000} read exit 0`);
    own.takeRecords();
    const hook = own.attach(ASKS);
    await goOn(child);
    insertModule(child, "ids");
    await finish(child);
    const ids = driftsIn(own.takeRecords()).map(({ fields }) => fields.hook_id);
    assert.deepEqual(ids, [DRIFT_AT_EXIT]);
    hook.detach();
  });
});
