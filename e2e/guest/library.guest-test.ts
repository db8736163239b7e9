/**
 * The curated policies on a real kernel: every way to other credentials is taken, with all policies loaded, and each
 * posts the events that its comment describes and no others.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/library.guest-test.ts
 */
import assert from "node:assert/strict";
import { chmodSync, chownSync, copyFileSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { parse } from "yaml";
import type { AttachedHook } from "../../agent/hooks/engine.ts";
import { compilePolicy } from "../../policy/compile.ts";
import {
  ALL_CAPS,
  AS_USER,
  calls,
  execs,
  FOR_A_WHILE,
  IN_POD,
  NEW,
  setsGroups,
  threadCalls,
  tries,
} from "./steps.ts";
import { ACT, act, type Hit, makeHookOn, TestEngine } from "./test-engine.ts";

const LIBRARY = resolve(import.meta.dirname, "../../crds/examples/library");
const POLICIES = readdirSync(LIBRARY).map((file) => basename(file, ".yaml"));

/** Not of the library: every commit, so that silence of the others is not for want of a change. */
const COMMITS = "every commit";

/** Programs in the guest's memory with bits that `act` has not. */
const directory = mkdtempSync(join(tmpdir(), "library-"));
const FILES = {
  setuidRoot: { mode: 0o4755, owner: 0 },
  setgidRoot: { mode: 0o2755, owner: 0 },
  setuidUser: { mode: 0o4755, owner: 1000 },
  withNetRaw: { mode: 0o755, owner: 0, capabilities: "0x2000" },
};
const fileOf = (name: keyof typeof FILES) => join(directory, name);

function makeFiles(): void {
  chmodSync(directory, 0o755);
  for (const [name, parts] of Object.entries(FILES)) {
    const file = fileOf(name as keyof typeof FILES);
    copyFileSync(ACT, file);
    chownSync(file, parts.owner, 0);
    chmodSync(file, parts.mode);
    if ("capabilities" in parts) act(`setcap ${file} ${parts.capabilities}`);
  }
}

/**
 * What is done, and who posts: for a hook with old and new credentials the fields that changed, for others the call
 * with its arguments. The commit of the exec that starts `act` is left out.
 */
interface Row {
  steps: string[];
  posts: Record<string, string[]>;
}

const TO_USER = "uid,suid,euid,fsuid,capPermitted,capEffective";
const TO_SAVED_ROOT = "uid,euid,fsuid,capEffective";
const RAISED_EUID = "euid,fsuid,capEffective";
const BY_SETUID_FILE = "suid,euid,fsuid,capPermitted,capEffective";
const INTO_USER_NAMESPACE = "capPermitted,capEffective,userNamespace";

/** Each returns to an id of 0: the call, and what it changes. */
const RAISES_USER: [string, string][] = [
  [calls("setuid", 0), "euid,fsuid"],
  [calls("setreuid", -1, 0), "euid,fsuid"],
  [calls("setresuid", -1, 0, -1), "euid,fsuid"],
  [calls("setresuid", 0, -1, -1), "uid"],
  [calls("setfsuid", 0), "fsuid"],
];
const RAISES_GROUP: [string, string][] = [
  [calls("setgid", 0), "gid,sgid,egid,fsgid"],
  [calls("setregid", -1, 0), "sgid,egid,fsgid"],
  [calls("setresgid", -1, -1, 0), "sgid"],
  [calls("setfsgid", 0), "fsgid"],
];

const ROWS: Record<string, Row> = {
  "an exec that changes nothing": { steps: [execs(), execs()], posts: { [COMMITS]: ["", ""] } },
  "an exec of a user that changes nothing": {
    steps: [AS_USER, execs()],
    posts: { [COMMITS]: [TO_USER, ""] },
  },
  "a setuid that changes nothing": { steps: [calls("setuid", 0)], posts: { [COMMITS]: [""] } },
  "a setuid file": {
    steps: [AS_USER, execs(fileOf("setuidRoot"))],
    posts: {
      [COMMITS]: [TO_USER, BY_SETUID_FILE],
      "ids-raised-by-exec": [BY_SETUID_FILE],
      "capabilities-gained": [BY_SETUID_FILE],
    },
  },
  "a setuid file by root": { steps: [execs(fileOf("setuidRoot"))], posts: { [COMMITS]: [""] } },
  "a setuid file of a user": {
    steps: [execs(fileOf("setuidUser"))],
    posts: { [COMMITS]: ["suid,euid,fsuid,capEffective"] },
  },
  "a setuid file without new privileges": {
    steps: [AS_USER, calls("prctl", 38, 1), execs(fileOf("setuidRoot"))],
    posts: { [COMMITS]: [TO_USER, ""] },
  },
  "a setgid file": {
    steps: [calls("setresgid", 1000, 1000, 1000), AS_USER, execs(fileOf("setgidRoot"))],
    posts: {
      [COMMITS]: ["gid,sgid,egid,fsgid", TO_USER, "sgid,egid,fsgid"],
      "ids-raised-by-exec": ["sgid,egid,fsgid"],
    },
  },
  "a file with capabilities": {
    steps: [AS_USER, execs(fileOf("withNetRaw"))],
    posts: {
      [COMMITS]: [TO_USER, "capPermitted,capEffective"],
      "ids-raised-by-exec": ["capPermitted,capEffective"],
      "capabilities-gained": ["capPermitted,capEffective"],
    },
  },
  "a switch of one thread": {
    steps: [FOR_A_WHILE, threadCalls("setresuid", -1, 0, -1)],
    posts: {
      [COMMITS]: [TO_SAVED_ROOT, `${RAISED_EUID} by a thread`],
      "ids-raised-by-syscall": ["euid,fsuid by a thread"],
      "capabilities-gained": [`${RAISED_EUID} by a thread`],
    },
  },
  "ids that are dropped": {
    steps: [calls("setresgid", 1000, 1000, 1000), AS_USER],
    posts: { [COMMITS]: ["gid,sgid,egid,fsgid", TO_USER] },
  },
  "a change between ids that are no user's": {
    steps: [calls("setresuid", 5, 6, 7)],
    posts: { [COMMITS]: [TO_USER] },
  },
  "root in a pod": {
    steps: [IN_POD, FOR_A_WHILE, calls("setresuid", -1, 0, -1)],
    posts: {
      [COMMITS]: [TO_SAVED_ROOT, RAISED_EUID],
      "ids-raised-by-syscall": ["euid,fsuid"],
      "capabilities-gained": [RAISED_EUID],
      "root-in-pods": [RAISED_EUID],
    },
  },
  "a setuid file in a pod": {
    steps: [IN_POD, AS_USER, execs(fileOf("setuidRoot"))],
    posts: {
      [COMMITS]: [TO_USER, BY_SETUID_FILE],
      "ids-raised-by-exec": [BY_SETUID_FILE],
      "capabilities-gained": [BY_SETUID_FILE],
      "root-in-pods": [BY_SETUID_FILE],
    },
  },
  "execs in a pod": { steps: [IN_POD, execs()], posts: { [COMMITS]: [""] } },
  "an id of a daemon in a pod": {
    steps: [IN_POD, FOR_A_WHILE, calls("setresuid", -1, 0, -1), calls("setresuid", -1, 5, -1)],
    posts: {
      [COMMITS]: [TO_SAVED_ROOT, RAISED_EUID, RAISED_EUID],
      "ids-raised-by-syscall": ["euid,fsuid"],
      "capabilities-gained": [RAISED_EUID],
      "root-in-pods": [RAISED_EUID],
    },
  },
  "capset that drops and takes back": {
    steps: [`capset 0 ${ALL_CAPS} 0`, `capset 0x2000 ${ALL_CAPS} 0`],
    posts: {
      [COMMITS]: ["capEffective", "capEffective"],
      "capabilities-gained": ["capEffective"],
    },
  },
  "a second gain within the minute": {
    steps: [`capset 0 ${ALL_CAPS} 0`, `capset 0x2000 ${ALL_CAPS} 0`, `capset 0 ${ALL_CAPS} 0`].concat(
      `capset 0x2000 ${ALL_CAPS} 0`,
    ),
    posts: {
      [COMMITS]: ["capEffective", "capEffective", "capEffective", "capEffective"],
      "capabilities-gained": ["capEffective"],
    },
  },
  "capabilities to inherit": {
    steps: [`capset ${ALL_CAPS} ${ALL_CAPS} 0x2000`],
    posts: { [COMMITS]: ["capInheritable"], "capabilities-gained": ["capInheritable"] },
  },
  "ambient capabilities": {
    steps: [`capset ${ALL_CAPS} ${ALL_CAPS} 0x2000`, "fork", calls("prctl", 47, 2, 13)],
    posts: {
      [COMMITS]: ["capInheritable", "capAmbient"],
      "capabilities-gained": ["capInheritable", "capAmbient"],
    },
  },
  "the bounding set": { steps: [calls("prctl", 24, 21)], posts: { [COMMITS]: ["capBounding"] } },
  "keep-caps, until the exec": {
    steps: [calls("prctl", 8, 1), execs()],
    posts: { [COMMITS]: ["securebits", "securebits"], securebits: ["securebits", "securebits"] },
  },
  "securebits and their locks": {
    steps: [calls("prctl", 28, 0x2f)],
    posts: { [COMMITS]: ["securebits"], securebits: ["securebits"] },
  },
  "no new privileges": { steps: [calls("prctl", 38, 1)], posts: {} },
  groups: {
    steps: [setsGroups("aaaabbbb"), setsGroups("aaaabbbb")],
    posts: { [COMMITS]: ["groups", ""], setgroups: ["groups"] },
  },
  "a session keyring": { steps: [calls("keyctl", 1, 0)], posts: { [COMMITS]: [""] } },
  "a user namespace of a user": {
    steps: [AS_USER, calls("unshare", NEW.user)],
    posts: {
      [COMMITS]: [TO_USER, INTO_USER_NAMESPACE],
      "unprivileged-user-namespace": ["create_user_ns"],
      "capabilities-gained": [INTO_USER_NAMESPACE],
    },
  },
  "a clone of a user into a user namespace, which commits nothing": {
    steps: [AS_USER, calls("clone", NEW.user + 17)],
    posts: { [COMMITS]: [TO_USER], "unprivileged-user-namespace": ["create_user_ns"] },
  },
  "a user namespace of root": {
    steps: [calls("unshare", NEW.user)],
    posts: { [COMMITS]: ["userNamespace"] },
  },
  "a user namespace in another": {
    steps: [AS_USER, "userns", "userns"],
    posts: {
      [COMMITS]: [TO_USER, INTO_USER_NAMESPACE, "userNamespace"],
      "unprivileged-user-namespace": ["create_user_ns"],
      "capabilities-gained": [INTO_USER_NAMESPACE],
    },
  },
  "root of a user namespace is a user": {
    steps: [AS_USER, "userns", calls("setuid", 0), tries("setuid", 1)],
    posts: {
      [COMMITS]: [TO_USER, INTO_USER_NAMESPACE, ""],
      "unprivileged-user-namespace": ["create_user_ns"],
      "capabilities-gained": [INTO_USER_NAMESPACE],
    },
  },
  "setns into a child's user namespace": {
    steps: [AS_USER, "join-userns"],
    posts: {
      [COMMITS]: [TO_USER, INTO_USER_NAMESPACE, INTO_USER_NAMESPACE],
      "unprivileged-user-namespace": ["create_user_ns"],
      "capabilities-gained": [INTO_USER_NAMESPACE, INTO_USER_NAMESPACE],
    },
  },
  "another namespace": { steps: [calls("unshare", NEW.uts)], posts: {} },
  "what a user is refused": {
    steps: [
      AS_USER,
      tries("setuid", 0),
      tries("setgid", 5),
      tries("setreuid", -1, 0),
      tries("setregid", 5, -1),
      tries("setresuid", 1, 2, 3),
      tries("setresgid", 1, 2, 3),
      tries("setgroups", 0, 0),
    ],
    posts: {
      [COMMITS]: [TO_USER],
      "denied-attempts": [
        "sys_setuid(0) = -1",
        "sys_setgid(5) = -1",
        "sys_setreuid(4294967295, 0) = -1",
        "sys_setregid(5, 4294967295) = -1",
        "sys_setresuid(1, 2, 3) = -1",
        "sys_setresgid(1, 2, 3) = -1",
        "sys_setgroups(0) = -1",
      ],
    },
  },
  "what a user is refused twice, and what is no refusal": {
    steps: [AS_USER, tries("setuid", 0), tries("setuid", 0), tries("setuid", -1)],
    posts: { [COMMITS]: [TO_USER], "denied-attempts": ["sys_setuid(0) = -1"] },
  },
  ...Object.fromEntries(
    RAISES_USER.map(([step, changed]) => [
      `a user's ${step}`,
      {
        steps: [FOR_A_WHILE, step],
        posts: {
          "ids-raised-by-syscall": [changed],
          "capabilities-gained": changed.includes("fsuid") ? [`${changed},capEffective`] : [],
        },
      },
    ]),
  ),
  ...Object.fromEntries(
    RAISES_GROUP.map(([step, changed]) => [
      `a group's ${step}`,
      {
        steps: [calls("setresgid", 1000, 1000, 1000), step],
        posts: { "ids-raised-by-syscall": [changed] },
      },
    ]),
  ),
};

let engine: TestEngine;
/** Hooks of all policies, and which policy has them. */
const hooks: AttachedHook[] = [];
const owners: string[] = [];

before(() => {
  makeFiles();
  engine = new TestEngine();
  for (const policy of POLICIES) {
    const result = compilePolicy(parse(readFileSync(join(LIBRARY, `${policy}.yaml`), "utf8")));
    assert.ok(result.ok, `${policy}: ${JSON.stringify(result)}`);
    for (const def of result.spec.hooks) {
      hooks.push(engine.attach(def));
      owners.push(policy);
    }
  }
  hooks.push(engine.attach(makeHookOn("commit_creds")));
  owners.push(COMMITS);
});

after(() => engine.close());

function describeHit(hit: Hit): string {
  const call = hooks[hit.hook]?.resolved.call ?? "";
  const thread = hit.tid === hit.pid ? "" : " by a thread";
  if (hit.change) return hit.change.changed.join(",") + thread;
  const values = hit.values.filter((value) => typeof value === "bigint").join(", ");
  return hit.returned === undefined ? call + thread : `${call}(${values}) = ${hit.returned}${thread}`;
}

/** What each policy posts while the steps are done. */
function postsOf({ steps }: Row): Record<string, string[]> {
  const posts: Record<string, string[]> = {};
  const hits = engine.hitsOf(hooks, () => assert.equal(act(steps.join(" ")).status, 0, "exit status"));
  for (const hit of hits) {
    const policy = owners[hit.hook] ?? "";
    posts[policy] ??= [];
    posts[policy].push(describeHit(hit));
  }
  assert.equal(posts[COMMITS]?.shift(), "", "the exec that starts the program changes nothing");
  return posts;
}

describe(`policies of the library on ${release()}`, () => {
  for (const [name, row] of Object.entries(ROWS)) {
    test(name, () => {
      const posts = postsOf(row);
      const policies = row.posts[COMMITS] ? [...POLICIES, COMMITS] : POLICIES;
      const table = (from: Record<string, string[]>) =>
        policies.map((policy) => [policy, from[policy] ?? []]);
      assert.deepEqual(table(posts), table(row.posts));
    });
  }
});

test("each policy of the library posts in a row, and is silent in one", () => {
  for (const policy of POLICIES) {
    const counts = Object.values(ROWS).map(({ posts }) => posts[policy]?.length ?? 0);
    assert.ok(counts.some((count) => count > 0) && counts.includes(0), policy);
  }
});
