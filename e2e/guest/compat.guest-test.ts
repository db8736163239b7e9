/**
 * Policies as people write them for Tetragon on a real kernel: each hook is attached, or its status names what this
 * kernel lacks. They post, kill and stay silent as described.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/compat.guest-test.ts
 *
 * @kernels 5.10, latest: the kernel that lacks most, and the newest; examples attaches policies on every kernel
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { basename, join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { parse } from "yaml";
import type { AttachedHook } from "../../agent/hooks/engine.ts";
import type { HookSpec } from "../../crds/hook-spec.ts";
import { compilePolicy } from "../../policy/compile.ts";
import { checkStatus, since } from "./lacking.ts";
import type { Value } from "./records.ts";
import { ALL_CAPS, AS_USER, calls, execs, IN_POD, NEW, setsGroups, tries } from "./steps.ts";
import { ACT, act, type Hit, TestEngine } from "./test-engine.ts";

const EXAMPLES = resolve(import.meta.dirname, "../../crds/examples");

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());

/** Gives the hooks of a policy to `use`, attached where the kernel has them. */
function withHooks(spec: HookSpec, use: (hooks: AttachedHook[]) => void): void {
  const hooks = spec.hooks.map((def) => engine.engine.attach(def, spec.mode));
  try {
    for (const hook of hooks) checkStatus(hook);
    use(hooks);
  } finally {
    for (const hook of hooks) hook.detach();
  }
}

/** What runs while a policy is loaded, and what the policy posts. */
interface Trigger {
  steps: string[];
  /** All hits of the program and its children, as describeHit() has them. */
  posts: string[];
  /** The hits that count; by default all. */
  of?: RegExp;
  /** Exit status, or the signal that ends the program; by default 0. */
  ends?: number | NodeJS.Signals;
}

const EPERM = 1;
const SIGKILLED = 128 + 9;
const opens = (file: string) => calls("openat", -100, `@${file}`, 0);
const OPENS = opens("/etc/hostname");
const OPENED = "fd_install(3, /etc/hostname)";

/** The calls behind set*id with the ids they ask for: whether privileges-setuid-root and privileges-raise care. */
const ASKS: [step: string, call: string, raise: boolean, setuidRoot: boolean][] = [
  [calls("setuid", 0), "__sys_setuid(0)", true, true],
  [calls("setgid", 0), "__sys_setgid(0)", true, true],
  [calls("setreuid", -1, 0), "__sys_setreuid(-1, 0)", true, true],
  [calls("setregid", 0, -1), "__sys_setregid(0, -1)", true, true],
  [calls("setresuid", 0, -1, -1), "__sys_setresuid(0, -1, -1)", true, false],
  [calls("setresgid", -1, 0, -1), "__sys_setresgid(-1, 0, -1)", true, true],
  [calls("setfsuid", 0), "__sys_setfsuid(0)", true, true],
  [calls("setfsgid", 0), "__sys_setfsgid(0)", true, true],
  [calls("setresgid", 5, 6, 7), "__sys_setresgid(5, 6, 7)", false, false],
];

/** By the name of the file, in compat/ where there is no directory. */
const TRIGGERS: Record<string, Trigger[]> = {
  "creds-capability-usage": [
    {
      steps: [IN_POD, setsGroups("aaaa"), "drop 6", tries("setgroups", 1, "@aaaa")],
      of: /, 6\)/,
      posts: ["cap_capable(level 0, 6) = 0", "cap_capable(level 0, 6) = -1"],
    },
    { steps: [setsGroups("aaaa")], posts: [] },
  ],
  fd_install_cap_changes: [
    { steps: [AS_USER, "fork", execs(), calls("unshare", NEW.user), OPENS, OPENS], posts: [OPENED] },
    { steps: ["drop 21", OPENS], posts: [] },
    // A user id that is not mapped loses all by exec: the first file of the new program is its event.
    { steps: [calls("unshare", NEW.user), execs(), OPENS], posts: ["fd_install(3, /etc/ld.so.cache)"] },
  ],
  fd_install_caps: [
    { steps: ["userns", OPENS], of: /hostname/, posts: [OPENED] },
    { steps: ["userns", "drop 21", OPENS], of: /hostname/, posts: [] },
    { steps: [OPENS], posts: [] },
  ],
  fd_install_ns: [
    { steps: [OPENS], of: /hostname/, posts: [OPENED] },
    { steps: [calls("unshare", NEW.uts), OPENS], of: /hostname/, posts: [] },
  ],
  fd_install_ns_host: [
    { steps: [IN_POD, OPENS], posts: [OPENED] },
    { steps: [OPENS], posts: [] },
  ],
  kill_unprivileged_user_namespace: [
    {
      steps: [AS_USER, calls("unshare", NEW.user)],
      posts: ["create_user_ns() Sigkill"],
      ends: "SIGKILL",
    },
    { steps: [calls("unshare", NEW.user)], posts: [] },
  ],
  kill_unprivileged_user_namespace_in_pid_namespace: [
    {
      steps: [IN_POD, AS_USER, calls("unshare", NEW.user)],
      posts: ["create_user_ns() Sigkill"],
      ends: SIGKILLED,
    },
    { steps: [AS_USER, calls("unshare", NEW.user)], posts: [] },
  ],
  kprobe_commit_creds: [
    {
      steps: [AS_USER, execs()],
      posts: ["commit_creds(cred of 0)", "commit_creds(cred of 1000)", "commit_creds(cred of 1000)"],
    },
  ],
  lsm_bprm_check: [
    {
      steps: [execs("/usr/bin/su"), "--version"],
      posts: since(5, 18) ? ["bprm_check_security(/usr/bin/su)"] : [],
    },
    { steps: [execs()], posts: [] },
  ],
  "privileges-raise": [
    {
      steps: ASKS.map(([step]) => step),
      posts: ASKS.filter(([, , raise]) => raise).map(([, call]) => call),
    },
    {
      steps: [`capset 0x2000 ${ALL_CAPS} 0`],
      posts: [`security_capset(cred of 0, 8192, 0, ${0x1ffffffffff})`],
    },
    { steps: ["capset 0 0 0"], posts: [] },
    { steps: [AS_USER, calls("unshare", NEW.user)], posts: ["create_user_ns()"] },
    { steps: [calls("unshare", NEW.user)], posts: [] },
  ],
  "privileges-setuid-root": [
    {
      steps: ASKS.map(([step]) => step),
      posts: ASKS.filter(([, , , root]) => root).map(([, call]) => `${call} = 0`),
    },
    { steps: [AS_USER, tries("setuid", 0)], posts: ["__sys_setuid(0) = -1"] },
  ],
  "process-creds-changed": [
    {
      steps: [IN_POD, AS_USER],
      of: /^commit_creds/,
      posts: ["commit_creds(cred of 1000)"],
    },
    { steps: [AS_USER], of: /^commit_creds/, posts: [] },
    {
      // access(2) checks with the real ids.
      steps: [calls("setresuid", 1000, 0, 0), "fork", calls("access", "@/etc/hostname", 4)],
      of: /^override_creds\(cred of 1000/,
      posts: since(6, 14) ? [] : ["override_creds(cred of 1000)"],
    },
  ],
  "process-exec-elf-begin": [
    {
      steps: [execs()],
      posts: [`security_bprm_creds_from_file(${ACT})`, `security_bprm_creds_from_file(${ACT})`],
    },
  ],
  raw_syscalls: [
    {
      steps: [calls("setuid", 0), calls("setreuid", 0, 0), setsGroups("aaaa")],
      posts: ["raw_syscalls/sys_enter(105)", "raw_syscalls/sys_enter(116)"],
    },
  ],
  security_bprm_check: [
    { steps: [execs("/usr/bin/su"), "--version"], posts: ["security_bprm_check(/usr/bin/su)"] },
    { steps: [execs()], posts: [] },
  ],
  sys_setuid: [
    { steps: [calls("setuid", 0), calls("setgid", 0)], posts: ["sys_setuid(0)"] },
    { steps: [tries("setuid", -1)], posts: ["sys_setuid(-1)"] },
  ],
  "valid/process-creds-installed": [
    {
      steps: [IN_POD, calls("setresgid", 5, 5, 5), AS_USER, execs()],
      posts: ["commit_creds(cred of 0)", "commit_creds(cred of 1000)"],
    },
    { steps: [AS_USER], posts: [] },
  ],
  "valid/process.credentials.changes.at.syscalls": [
    {
      steps: [IN_POD, ...ASKS.map(([step]) => step)],
      posts: ASKS.map(([, call]) => call.replace("__", "")),
    },
    { steps: ASKS.map(([step]) => step), posts: [] },
  ],
  "valid/lsm-deny": [
    {
      steps: [AS_USER, calls("unshare", NEW.user)],
      posts: since(6, 1) ? ["userns_create(cred of 1000) Override"] : [],
      ends: since(6, 1) ? EPERM : 0,
    },
    { steps: [calls("unshare", NEW.user)], posts: [] },
  ],
  "valid/signal": [
    { steps: [AS_USER, calls("unshare", NEW.user)], posts: [], ends: "SIGTERM" },
    { steps: [calls("unshare", NEW.user)], posts: [] },
  ],
  // It only monitors.
  "valid/kill": [
    { steps: [IN_POD, AS_USER, tries("setuid", 0)], posts: ["sys_setuid(0)"] },
    { steps: [IN_POD, AS_USER, tries("setuid", 1)], posts: [] },
  ],
};

/** Numbers of KprobeAction. */
const ACTIONS: Record<number, string> = { 3: " Sigkill", 5: " Override" };

function describeValue(value: Value): string | undefined {
  if (typeof value !== "object") return value?.toString();
  return "level" in value ? `level ${value.level}` : `cred of ${value.uid}`;
}

function describeHit(hit: Hit, hooks: readonly AttachedHook[]): string {
  const values = hit.values.map(describeValue).filter((text) => text !== undefined);
  const returned = hit.returned === undefined ? "" : ` = ${hit.returned}`;
  return `${hooks[hit.hook]?.resolved.call}(${values.join(", ")})${returned}${ACTIONS[hit.action] ?? ""}`;
}

function checkTrigger(hooks: readonly AttachedHook[], { steps, posts, of = /./, ends = 0 }: Trigger): void {
  let pid = 0;
  const hits = engine.hitsOf(hooks, () => {
    const ran = act(steps.join(" "));
    assert.equal(ran.signal ?? ran.status, ends, `${steps.join(" ")} ended`);
    pid = ran.pid;
  });
  const told = hits.filter((hit) => hit.pid >= pid).map((hit) => describeHit(hit, hooks));
  assert.deepEqual(
    told.filter((text) => of.test(text)),
    posts,
    steps.join(" "),
  );
}

/** All of compat/, and those of other directories that have a row. */
const NAMES = [
  ...readdirSync(join(EXAMPLES, "compat")).map((file) => basename(file, ".yaml")),
  ...Object.keys(TRIGGERS).filter((name) => name.includes("/")),
];

const fileOf = (name: string) => join(EXAMPLES, name.includes("/") ? "" : "compat", `${name}.yaml`);

describe(`policies for Tetragon on ${release()}`, () => {
  for (const name of NAMES) {
    test(name, () => {
      const triggers = TRIGGERS[name];
      assert.ok(triggers, "no row describes it");
      const result = compilePolicy(parse(readFileSync(fileOf(name), "utf8")));
      assert.ok(result.ok, JSON.stringify(result));
      withHooks(result.spec, (hooks) => {
        for (const trigger of triggers) checkTrigger(hooks, trigger);
      });
    });
  }
});
