import { describe, expect, test } from "vitest";
import { RECORD_CRED_FAILED } from "../../records/layout.ts";
import {
  type CredChangeFields,
  type CredFields,
  credSlot,
  type HookFields,
  integerSlot,
  makeBatch,
  makeExec,
} from "../../records/testing/records.ts";
import {
  makeHit,
  makeHookDef,
  makePipeline,
  parseLines,
  setupShell,
  TEST_POLICY,
} from "../testing/pipeline.ts";
import type { CredentialChangeDetail } from "./credential-change.ts";

const ALL = 0x1ff_ffff_ffffn;
const INITIAL: CredFields = { user_ns_inum: 4026531837 };

/** The body of the only event of a hit of commit_creds. */
function bodyOf(changes: Partial<HookFields>, detail: CredentialChangeDetail = "changed") {
  const { pipeline, sink } = setupShell(makeHookDef({ returnArg: { type: "int" } }), {
    credentialChange: detail,
  });
  pipeline.handleBatch(makeBatch(makeHit([credSlot({ uid: 5 })], changes)));
  return parseLines(sink.takeLines())[0].process_kprobe;
}

const changeOf = (credChange: CredChangeFields, detail?: CredentialChangeDetail) =>
  bodyOf({ credChange }, detail).credential_change;

describe("a change", () => {
  const cases: Record<string, { change: CredChangeFields; want: unknown }> = {
    "of nothing is empty": { change: { old: INITIAL, new: INITIAL }, want: {} },
    "has old and new of each id that changed, and of no other": {
      change: { changed: ["uid", "sgid"], old: { uid: 1000, gid: 7 }, new: { sgid: 4294967294, gid: 7 } },
      want: { uid: { old: 1000, new: 0 }, sgid: { old: 0, new: 4294967294 } },
    },
    "of capabilities names what was added and what was removed, beside both sets": {
      change: {
        changed: ["cap_effective"],
        old: { cap_effective: 3n },
        new: { cap_effective: 1n | (1n << 40n) },
      },
      want: {
        cap_effective: {
          added: ["CAP_CHECKPOINT_RESTORE"],
          removed: ["DAC_OVERRIDE"],
          old: "0000000000000003",
          new: "0000010000000001",
        },
      },
    },
    "of all capabilities is not a list of all names": {
      change: {
        changed: ["cap_permitted", "cap_effective"],
        old: { cap_effective: ALL },
        new: { cap_permitted: ALL },
      },
      want: {
        cap_permitted: { added: ["ALL"], old: "0000000000000000", new: "000001ffffffffff" },
        cap_effective: { removed: ["ALL"], old: "000001ffffffffff", new: "0000000000000000" },
      },
    },
    "of a capability without a name has its number": {
      change: { changed: ["cap_inheritable"], new: { cap_inheritable: 1n << 63n } },
      want: { cap_inheritable: { added: ["63"], old: "0000000000000000", new: "8000000000000000" } },
    },
    "of all capabilities and one without a name is a list": {
      change: { changed: ["cap_permitted"], new: { cap_permitted: (1n << 42n) - 1n } },
      want: {
        cap_permitted: expect.objectContaining({ added: expect.arrayContaining(["CAP_CHOWN", "41"]) }),
      },
    },
    "shows bounding and ambient set, groups and no_new_privs": {
      change: {
        changed: ["cap_bounding", "cap_ambient", "groups", "no_new_privs"],
        oldRest: { cap_bounding: 1n << 21n, groups: [4, 4294967294] },
        newRest: { cap_ambient: 1n << 12n, no_new_privs: 1 },
      },
      want: {
        cap_bounding: { removed: ["CAP_SYS_ADMIN"], old: "0000000000200000", new: "0000000000000000" },
        cap_ambient: { added: ["CAP_NET_ADMIN"], old: "0000000000000000", new: "0000000000001000" },
        groups: { old: { count: 2, ids: [4, 4294967294] }, new: { count: 0 } },
        no_new_privs: { old: false, new: true },
      },
    },
    "shows securebits and the user namespace": {
      change: {
        changed: ["securebits", "user_ns"],
        old: INITIAL,
        new: { securebits: 16, user_ns_level: 1, user_ns_owner: 1000, user_ns_inum: 77 },
      },
      want: {
        securebits: { new: ["SecBitKeepCaps"] },
        user_ns: {
          old: { level: 0, uid: 0, gid: 0, ns: { inum: 4026531837, is_host: true } },
          new: { level: 1, uid: 1000, gid: 0, ns: { inum: 77 } },
        },
      },
    },
    "shows keyrings that changed; one that is not there has no serial": {
      change: {
        oldRest: { thread_keyring: 7, process_keyring: 8, session_keyring: 9 },
        newRest: { process_keyring: 8, session_keyring: 1073741823 },
      },
      want: { keyrings: { thread: { old: 7 }, session: { old: 9, new: 1073741823 } } },
    },
    "shows a keyring that is new behind other fields": {
      change: { changed: ["uid"], old: { uid: 1 }, newRest: { process_keyring: 8 } },
      want: { uid: { old: 1, new: 0 }, keyrings: { process: { new: 8 } } },
    },
    "shows 32 groups and how many there are": {
      change: { changed: ["groups"], newRest: { groups: Array.from({ length: 40 }, (_, i) => 1000 + i) } },
      want: {
        groups: {
          old: { count: 0 },
          new: { count: 40, ids: Array.from({ length: 32 }, (_, i) => 1000 + i) },
        },
      },
    },
  };

  test.each(Object.entries(cases))("%s", (_name, { change, want }) => {
    expect(changeOf(change)).toEqual(want);
  });

  test("has its fields in the order of their numbers in proto/trigon.proto", () => {
    const change = changeOf({
      changed: ["no_new_privs", "uid", "cap_ambient", "fsgid", "cap_permitted"],
      newRest: { session_keyring: 1 },
    });
    expect(Object.keys(change)).toEqual([
      ...["uid", "fsgid", "cap_permitted", "cap_ambient", "no_new_privs", "keyrings"],
    ]);
  });

  test("that could not be read is an error, not zeros", () => {
    const body = bodyOf({ credChange: {}, flags: RECORD_CRED_FAILED });
    expect(body.credential_change).toEqual({ error_arg: { Message: "Bad address for basic type" } });
  });

  test("costs the compatible fields nothing", () => {
    const {
      credential_change: _,
      return: __,
      ...rest
    } = bodyOf({ credChange: {}, returned: integerSlot(0) });
    expect(JSON.stringify(rest)).toBe(JSON.stringify(bodyOf({})));
  });
});

describe("in full detail", () => {
  const ids = { uid: 0, gid: 0, euid: 0, egid: 0, suid: 0, sgid: 0, fsuid: 0, fsgid: 0 };
  const initialNamespace = { level: 0, uid: 0, gid: 0, ns: { inum: 4026531837, is_host: true } };

  test("every part of the old and the new credentials follows", () => {
    const change: CredChangeFields = {
      changed: ["uid"],
      old: { ...INITIAL, uid: 1000, cap_permitted: 1n, cap_inheritable: 1n << 40n },
      new: { ...INITIAL, cap_effective: 3n, securebits: 16 },
      oldRest: { cap_bounding: 1n << 21n, groups: [4, 5] },
      newRest: { cap_ambient: 1n << 12n, no_new_privs: 1, thread_keyring: 7, session_keyring: 9 },
    };
    expect(changeOf(change, "full")).toEqual({
      ...changeOf(change),
      old: {
        ...ids,
        uid: 1000,
        caps: {
          permitted: ["CAP_CHOWN"],
          inheritable: ["CAP_CHECKPOINT_RESTORE"],
          bounding: ["CAP_SYS_ADMIN"],
        },
        user_ns: initialNamespace,
        groups: { count: 2, ids: [4, 5] },
        no_new_privs: false,
      },
      new: {
        ...ids,
        securebits: ["SecBitKeepCaps"],
        caps: { effective: ["CAP_CHOWN", "DAC_OVERRIDE"], ambient: ["CAP_NET_ADMIN"] },
        user_ns: initialNamespace,
        groups: { count: 0 },
        no_new_privs: true,
        keyrings: { thread: 7, session: 9 },
      },
    });
  });

  test("credentials that are equal are shown as well", () => {
    const same = { ...ids, caps: {}, user_ns: initialNamespace, groups: { count: 0 }, no_new_privs: false };
    expect(changeOf({ old: INITIAL, new: INITIAL }, "full")).toEqual({ old: same, new: same });
  });
});

describe("the line of a commit", () => {
  /** Bytes of the line that Tetragon writes when a root process commits credentials with all capabilities. */
  const UPSTREAM_BYTES = 2_378;
  const root: CredFields = { ...INITIAL, cap_permitted: ALL, cap_effective: ALL };
  const user: CredFields = { ...INITIAL, uid: 1000, euid: 1000, suid: 1000, fsuid: 1000 };
  const rest = { cap_bounding: ALL, groups: [0, 4, 27], session_keyring: 1_073_741_823 };
  const uids = ["uid", "euid", "suid", "fsuid"] as const;
  const sets = ["cap_permitted", "cap_effective"] as const;

  /** The line of a service of the host that a shell has started. */
  function lineOf(credChange: CredChangeFields | undefined, next: CredFields): string {
    const { pipeline, sink } = makePipeline();
    pipeline.registerHook(7, { policy: TEST_POLICY, def: makeHookDef(), functionName: "commit_creds" });
    const exec = { seq: 1, ktimeNs: 20_000_000n, cwd: "/var/lib/service" };
    const argv = ["service", "--config", "/etc/service/config.yaml", "--verbose"];
    const hit = makeHit(
      [credSlot(next)],
      credChange && { credChange: { oldRest: rest, newRest: rest, ...credChange } },
    );
    const shell = { ...exec, pid: 9, parentPid: 0, filename: "/usr/bin/bash" };
    pipeline.handleBatch(
      makeBatch(
        makeExec({ ...shell, argv: ["bash", "-c", argv.join(" ")] }),
        makeExec({ ...exec, pid: 10, parentPid: 9, filename: "/usr/sbin/service", argv }),
        hit,
      ),
    );
    return sink.takeLines().at(-1) as string;
  }

  const changes: Record<
    string,
    Required<Pick<CredChangeFields, "changed" | "old" | "new">> & CredChangeFields
  > = {
    "changes one sgid": { changed: ["sgid"], old: root, new: { ...root, sgid: 1000 } },
    "gives up root": { changed: [...uids, ...sets], old: root, new: user },
    "gains root": { changed: [...uids, ...sets], old: user, new: root },
    "drops one capability": {
      changed: ["cap_effective"],
      old: root,
      new: { ...root, cap_effective: ALL & ~(1n << 21n) },
    },
    "drops one capability from the bounding set": {
      changed: ["cap_bounding"],
      old: root,
      new: root,
      newRest: { ...rest, cap_bounding: ALL & ~(1n << 21n) },
    },
    "changes groups": {
      changed: ["groups"],
      old: root,
      new: root,
      newRest: { ...rest, groups: [1000, 1001] },
    },
    "enters a user namespace": {
      changed: ["user_ns"],
      old: root,
      new: { ...root, user_ns_level: 1, user_ns_owner: 1000, user_ns_inum: 4026532837 },
    },
  };

  const plain = lineOf(undefined, root).length;

  test("is without a change about as long as upstream's", () => {
    expect(plain).toBeGreaterThan(0.95 * UPSTREAM_BYTES);
    expect(plain).toBeLessThan(1.05 * UPSTREAM_BYTES);
  });

  test.each(Object.entries(changes))("that %s is at most a quarter longer than that", (_name, change) => {
    expect(lineOf(change, change.new).length).toBeLessThanOrEqual(1.25 * Math.min(plain, UPSTREAM_BYTES));
  });
});
