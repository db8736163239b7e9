/**
 * What users of the policy library ask of the export with jq: each of its filters, written from what it selects and prints,
 * on events of the hooks that the library's policies have.
 *
 *   node --test e2e/clients/jq.client-test.ts
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { before, describe, test } from "node:test";
import { makePipeline } from "../../agent/events/testing/pipeline.ts";
import { PodStore } from "../../agent/pods/pod-store.ts";
import {
  EXEC_FILE_CAPS,
  EXEC_PRIVILEGES_KNOWN,
  EXEC_SETGID,
  EXEC_SETUID,
  EXEC_SETUID_ROOT,
} from "../../agent/records/layout.ts";
import {
  credSlot,
  type ExecFields,
  integerSlot,
  makeBatch,
  makeExec,
  makeHook,
  type SlotFields,
} from "../../agent/records/testing/records.ts";
import { compileParsed } from "../../policy/compile.ts";
import { parsePolicies } from "../../policy/parse.ts";

const CONTAINER = "0123456789abcdef".repeat(4);
const POLICY = new URL("../../crds/examples/compat/privileges-raise.yaml", import.meta.url);
const NO_JQ = spawnSync("jq", ["--version"]).status === 0 ? false : "jq is not installed";

let lines = "";

/** The library's own policy compiled, and a process for each way to privileges. */
before(() => {
  const store = new PodStore();
  store.put({
    metadata: { name: "xwing", namespace: "default", uid: "u" },
    status: { containerStatuses: [{ name: "spaceship", containerID: `containerd://${CONTAINER}` }] },
  });
  const { pipeline, sink } = makePipeline({
    store,
    cache: { keepCredentials: true },
    processFields: { credentials: true },
  });
  const [policy] = parsePolicies(readFileSync(POLICY, "utf8"), "").policies;
  assert.ok(policy);
  const compiled = compileParsed(policy);
  assert.ok(compiled.ok);
  const ids = new Map<string, number>();
  for (const [index, def] of compiled.spec.hooks.entries()) {
    ids.set(def.call, index + 1);
    pipeline.registerHook(index + 1, { policy: compiled.spec.policy, def, functionName: def.call });
  }
  const exec = (pid: number, filename: string, changes: Partial<ExecFields>) =>
    makeExec({ pid, seq: 1, ktimeNs: 1n, filename, parentPid: 0, cgroup: CONTAINER, ...changes });
  const hit = (call: string, slots: SlotFields[]) =>
    makeHook({ pid: 10, seq: 1, ktimeNs: 2n, hookId: ids.get(call) ?? 0, slots });
  const known = (bits: number) => bits | EXEC_PRIVILEGES_KNOWN;
  pipeline.handleBatch(
    makeBatch(
      exec(10, "/bin/sh", { cred: { uid: 1000, euid: 1000 }, privileges: known(0) }),
      exec(11, "/usr/bin/sudo", {
        argv: ["sudo", "id"],
        cred: { uid: 1000, gid: 1000, euid: 0, egid: 1000 },
        privileges: known(EXEC_SETUID | EXEC_SETUID_ROOT),
      }),
      exec(12, "/usr/bin/wall", { cred: { uid: 1000, egid: 5 }, privileges: known(EXEC_SETGID) }),
      exec(13, "/usr/bin/ping", {
        cred: { uid: 1000, euid: 1000, cap_permitted: 1n << 13n, cap_effective: 1n << 13n },
        privileges: known(EXEC_FILE_CAPS),
      }),
      exec(14, "/dev/shm/gone", { cred: { uid: 1000, euid: 1000 }, privileges: known(0), exeLinks: 0 }),
      hit("__sys_setresuid", [integerSlot(-1), integerSlot(0), integerSlot(-1)]),
      hit("create_user_ns", [{ payload: new Uint8Array(0) }]),
      hit(
        "security_capset",
        capset(compiled.spec.hooks.find(({ call }) => call === "security_capset")?.args ?? []),
      ),
    ),
  );
  lines = sink.takeLines().join("\n");
});

/** A slot for each argument of the hook that shows something; capabilities are all of those of Linux 5.9. */
function capset(args: readonly { type: string }[]): SlotFields[] {
  return args.map(({ type }) => {
    if (type === "nop") return { payload: new Uint8Array(0) };
    return type === "cred" ? credSlot({}) : integerSlot(0x1ff_ffff_ffffn);
  });
}

function jq(filter: string): string[] {
  const { stdout, stderr, status } = spawnSync("jq", ["-r", "-c", filter], {
    input: lines,
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  return stdout.split("\n").filter((line) => line !== "");
}

const exec = (select: string, ...fields: string[]) =>
  `select(.process_exec != null) | .time as $time | .process_exec.process | select(${select}) |
   "\\($time) \\(.pod.namespace) \\(.pod.name) \\(.binary) \\(.arguments) ${fields.join(" ")}"`;
const ids = "uid=\\(.process_credentials.uid) euid=\\(.process_credentials.euid)";

describe("the jq filters of the policy library", { skip: NO_JQ }, () => {
  test("binaries with the set-user-id or set-group-id bit", () => {
    const filter = exec(
      ".binary_properties != null and (.binary_properties.setuid != null or .binary_properties.setgid != null)",
      `${ids} gid=\\(.process_credentials.gid) egid=\\(.process_credentials.egid)`,
      "\\(.binary_properties)",
    );
    assert.deepEqual(
      jq(filter).map((line) => line.replace(/^\S+Z /, "")),
      [
        "default xwing /usr/bin/sudo id uid=1000 euid=0 gid=1000 egid=1000 " +
          '{"setuid":0,"privileges_changed":["PRIVILEGES_RAISED_EXEC_FILE_SETUID"]}',
        'default xwing /usr/bin/wall null uid=1000 euid=0 gid=0 egid=5 {"setgid":5}',
      ],
    );
  });

  test("binaries with file capabilities", () => {
    const filter = exec(
      '.binary_properties.privileges_changed != null and (.binary_properties.privileges_changed | index("PRIVILEGES_RAISED_EXEC_FILE_CAP"))',
      ids,
      "\\(.cap)",
      "\\(.binary_properties)",
    );
    assert.deepEqual(
      jq(filter).map((line) => line.replace(/^\S+Z /, "")),
      [
        'default xwing /usr/bin/ping null uid=1000 euid=1000 {"permitted":["CAP_NET_RAW"],"effective":["CAP_NET_RAW"]} ' +
          '{"privileges_changed":["PRIVILEGES_RAISED_EXEC_FILE_CAP"]}',
      ],
    );
  });

  const kprobe = (name: string, fields: string) =>
    `select(.process_kprobe != null) | .process_kprobe |
     select((.policy_name | test("privileges-raise")) and (.function_name | test("${name}"))) |
     "\\(.process.pod.name) \\(.process.binary) ${fields}"`;

  test("system calls that set ids", () => {
    assert.deepEqual(jq(kprobe("__sys_", "\\(.function_name) \\(.args)")), [
      'xwing /bin/sh __sys_setresuid [{"int_arg":-1},{"int_arg":0},{"int_arg":-1}]',
    ]);
  });

  test("user namespaces of unprivileged processes", () => {
    const [line = ""] = jq(kprobe("create_user_ns", "\\(.process.process_credentials)"));
    assert.match(line, /^xwing \/bin\/sh \{"uid":1000,"gid":0,"euid":1000,/);
  });

  test("capset, whose permitted set is the fourth argument and the effective one the second", () => {
    assert.deepEqual(jq(kprobe("capset", "\\(.args[3]) \\(.args[1])")), [
      'xwing /bin/sh {"cap_permitted_arg":"000001ffffffffff"} {"cap_effective_arg":"000001ffffffffff"}',
    ]);
  });

  test("files that were deleted before they ran", () => {
    const filter = exec(
      ".binary_properties != null and .binary_properties.file != null",
      ids,
      "\\(.binary_properties)",
    );
    const [line = "", ...more] = jq(filter);
    assert.match(
      line,
      /\/dev\/shm\/gone null uid=1000 euid=1000 \{"file":\{"inode":\{"number":"\d+","links":0\}\}\}$/,
    );
    assert.deepEqual(more, []);
  });
});
