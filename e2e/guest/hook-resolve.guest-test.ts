/**
 * Members reached from an argument or from the current task, files and their paths, and filters on both.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/hook-resolve.guest-test.ts
 *
 * @kernels 5.10, latest: the oldest verifier and the newest; hook-arguments reads through the BTF of every kernel
 */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { makeArgs, makeSelector, matchText } from "../../agent/hooks/testing/hooks.ts";
import type { ArgDef, FilterDef, HookDef, TextComparison } from "../../crds/hook-spec.ts";
import { since } from "./lacking.ts";
import { ACT, act, BY_KPROBE, type Hit, makeHookOn, NR, QUIET, run, TestEngine } from "./test-engine.ts";

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());

/** The last hit of a hook. */
function lastHit(def: HookDef, trigger: () => unknown): Hit {
  return engine.watch([def], trigger).at(-1) as Hit;
}

const onArg = (arg: number, low: number, high = low): FilterDef => ({
  match: "arg",
  arg,
  negate: false,
  compare: "range",
  ranges: [[`${low}`, `${high}`]],
});

describe("resolve", () => {
  const data = (resolve: string, type: ArgDef["type"]): ArgDef => ({
    index: 0,
    type,
    source: "current_task",
    resolve,
  });

  test("follows the current task, with numbers, strings, structures and the index of an array", () => {
    const args = [
      data("cred.uid.val", "uint32"),
      data("real_parent.tgid", "uint32"),
      data("cred.user_ns", "user_namespace"),
      data("comm", "string"),
      data("cred.cap_effective", "cap_effective"),
    ];
    const steps = `call ${NR.setresuid}:1001:1002:0 call ${NR.setfsuid}:-1`;
    const { values } = lastHit(makeHookOn("sys_setfsuid", { args }), () => act(steps));
    const [uid, parent, ns, comm, caps] = values;
    assert.deepEqual([uid, parent, comm], [1001n, BigInt(process.pid), "act"]);
    assert.deepEqual([(ns as Record<string, number>).level, caps], [0, 0n]);
  });

  for (const by of [[], BY_KPROBE]) {
    test(`follows an argument, ${by.length === 0 ? "by fentry" : "by kprobe"}`, () => {
      const args: ArgDef[] = [
        ...by,
        { index: 0, type: "uint32", resolve: "euid.val" },
        { index: 0, type: "uint32", resolve: "user_ns.level" },
        { index: 0, type: "cap_permitted", resolve: "cap_permitted" },
      ];
      // Nothing else is tried in place of an fentry that the policy asks for.
      const section = by.length === 0 ? "fentries" : "kprobes";
      const selectors = [makeSelector(onArg(by.length, 1002))];
      const hook = makeHookOn("commit_creds", { section, args, selectors });
      const hits = engine.watch([hook], () => act(`call ${NR.setresuid}:1001:1002:1003`));
      assert.deepEqual(
        hits.map(({ values }) => values.slice(by.length)),
        [[1002n, 0n, 0n]],
      );
      const none = { ...hook, selectors: [makeSelector(onArg(by.length, 1003))] };
      assert.equal(engine.watch([none], () => act(`call ${NR.setresuid}:1001:1002:1003`)).length, 0);
    });
  }

  test("reads registers, those of a function and those that a system call came with", () => {
    const register = (resolve: string, type: ArgDef["type"] = "uint64"): ArgDef => ({
      index: 0,
      type,
      source: "pt_regs",
      resolve,
    });
    const PRCTL = "0x70000001";
    const ofCall = makeHookOn("sys_prctl", { args: [register("si"), register("dx", "int"), register("sp")] });
    const byCall = lastHit(ofCall, () => act(`call ${NR.prctl}:${PRCTL}:77:-5`)).values;
    assert.deepEqual(byCall.slice(0, 2), [77n, -5n]);
    assert.ok((byCall[2] as bigint) >> 40n === 0x7fn, "the stack of the program");
    const ofFunction = makeHookOn("security_task_prctl", { args: [register("si"), register("sp")] });
    const hook = engine.attach(ofFunction);
    assert.deepEqual(
      [hook.status.attach, hook.status.message],
      ["kprobe", "fentry: only a kprobe has the registers of a function"],
    );
    hook.detach();
    const selectors = [makeSelector(onArg(0, 77))];
    const hits = engine.watch([{ ...ofFunction, selectors }], () =>
      act(`call ${NR.prctl}:${PRCTL}:77 call ${NR.prctl}:${PRCTL}:78`),
    );
    assert.deepEqual(
      hits.map(({ values }) => [values[0], (values[1] as bigint) >= 1n << 63n]),
      [[77n, true]],
    );
  });

  test("reads the types of a module, if the kernel has them", () => {
    // p9_client_walk(struct p9_fid *oldfid, ...): what is below this root is looked up so.
    const args: ArgDef[] = [
      { index: 0, type: "uint32", btfType: "p9_fid", btfTypeModule: "9pnet", resolve: "clnt.msize" },
    ];
    const hook = engine.engine.attach(makeHookOn("p9_client_walk", { args }));
    hook.detach();
    if (!since(5, 11)) {
      assert.equal(hook.status.reason, "KernelUnsupported");
      assert.match(hook.status.message ?? "", /btfTypeModule 9pnet: ENOENT: .* as before 5.11/);
      return;
    }
    const hits = engine.watch([makeHookOn("p9_client_walk", { args })], () =>
      run("stat", [`/usr/no-such-file-${process.pid}`]),
    );
    assert.equal(hits[0]?.values[0], 262_144n);
  });

  test("names the member that is missing", () => {
    const hook = makeHookOn("commit_creds", {
      args: [{ index: 0, type: "uint32", resolve: "user_ns.levl" }],
    });
    const { status } = engine.engine.attach(hook);
    assert.match(status.message ?? "", /struct user_namespace has no member levl: did you mean "level"\?/);
  });

  test("reports the level of a read that failed", () => {
    const args = [data("pi_blocked_on.task.tgid", "uint32")];
    const hook = makeHookOn("sys_setfsuid", { args });
    assert.deepEqual(lastHit(hook, () => act(`call ${NR.setfsuid}:-1`)).statuses, [1]);
  });
});

describe("bits of a structure", () => {
  const SECURE = 1n;
  for (const by of [[], BY_KPROBE]) {
    test(`are read and compared, by ${by.length === 0 ? "fentry" : "kprobe"}`, () => {
      const bits = (type: ArgDef["type"]): ArgDef => ({ index: 0, type, resolve: "secureexec" });
      const args: ArgDef[] = [
        ...by,
        bits("uint8"),
        bits("int"),
        bits("int8"),
        { index: 0, type: "uint32", resolve: "per_clear" },
      ];
      const hook = (...filters: FilterDef[]) =>
        makeHookOn("security_bprm_committing_creds", { args, selectors: [makeSelector(...filters)] });
      const at = by.length;
      const hooks = [hook(), hook(onArg(at, 1)), hook(onArg(at + 1, 1)), hook(onArg(at + 2, -9, 0))];
      const hits = engine.watch(hooks, () =>
        run("setpriv", ["--reuid=1000", "--clear-groups", "su", "--version"]),
      );
      const of = (index: number) =>
        hits.filter(({ hook }) => hook === index).map(({ values }) => values.slice(at));
      const [plain, secure] = of(0);
      assert.deepEqual(plain, [0n, 0n, 0n, 0n]);
      assert.deepEqual(secure?.slice(0, 3), [SECURE, SECURE, SECURE]);
      assert.notEqual(secure?.[3], 0n, "personality bits that a set-user-ID program clears");
      assert.deepEqual([of(1), of(2), of(3)], [[secure], [secure], [plain]]);
    });
  }

  test("an unsigned field that is narrower than the argument's type compares as it is shown", () => {
    const args: ArgDef[] = [{ index: 0, type: "int", source: "current_task", resolve: "comm[0]" }];
    const code = "a".charCodeAt(0);
    const hooks = [onArg(0, code), onArg(0, -5, 5)].map((filter) =>
      makeHookOn("sys_setfsuid", { args, selectors: [makeSelector(filter)] }),
    );
    assert.deepEqual(
      engine.watch(hooks, () => act(QUIET)).map(({ hook, values }) => [hook, values[0]]),
      [[0, BigInt(code)]],
    );
  });
});

describe("arrays whose length the kernel keeps elsewhere", () => {
  const SETGROUPS = NR.setgroups;
  const TWO = `call ${SETGROUPS}:2:@AAAABBBB`;
  const [A, B] = [0x41414141n, 0x42424242n];
  const group = (index: number): ArgDef => ({
    index: 0,
    type: "uint32",
    resolve: `group_info.gid[${index}].val`,
  });

  for (const by of [[], BY_KPROBE]) {
    const kind = by.length === 0 ? "fentry" : "kprobe";

    test(`an element beyond the end is not read, by ${kind}`, () => {
      const args = [
        ...by,
        { index: 0, type: "int", resolve: "group_info.ngroups" } as const,
        group(0),
        group(1),
        group(2),
      ];
      const hits = engine.watch([makeHookOn("commit_creds", { args })], () =>
        act(`${TWO} call ${SETGROUPS}:0:0`),
      );
      assert.deepEqual(
        hits.slice(-2).map(({ values, statuses }) => [values.slice(by.length), statuses.slice(by.length)]),
        [
          [
            [2n, A, B, undefined],
            [0, 0, 0, 1],
          ],
          [
            [0n, undefined, undefined, undefined],
            [0, 1, 1, 1],
          ],
        ],
      );
    });

    test(`it matches neither a list nor its opposite, by ${kind}`, () => {
      const isB = onArg(by.length, Number(B));
      const hook = (filter: FilterDef) =>
        makeHookOn("commit_creds", { args: [...by, group(1)], selectors: [makeSelector(filter)] });
      const filters = [isB, { ...isB, negate: true }, onArg(by.length, 0, 0xffff_ffff)] as FilterDef[];
      const of = (steps: string) => {
        const hits = engine.watch(filters.map(hook), () => act(steps));
        return filters.map((_, index) => hits.filter((hit) => hit.hook === index).length);
      };
      assert.deepEqual(
        [of(`call ${SETGROUPS}:0:0`), of(TWO)],
        [
          [0, 0, 0],
          [1, 0, 1],
        ],
      );
    });
  }

  test("levels of pid namespaces, extents of id maps and open files are bounded by their own counts", () => {
    const task = (resolve: string, type: ArgDef["type"]): ArgDef => ({
      index: 0,
      type,
      source: "current_task",
      resolve,
    });
    const lasts: [resolve: string, type: ArgDef["type"]][] = [
      ["thread_pid.numbers", "int"],
      ["cred.user_ns.uid_map.extent", "uint32"],
      ["files.fdt.fd", "file"],
    ];
    for (const [array, type] of lasts) {
      const rest = { int: ".nr", uint32: ".count", file: "" }[type as "int" | "uint32" | "file"];
      const args = [
        task(`${array}[0]${rest}`, type),
        task(`${array}[${type === "file" ? 100_000 : 1}]${rest}`, type),
      ];
      const { values, statuses, pid } = lastHit(makeHookOn("sys_setfsuid", { args }), () =>
        act(`call 3:0 call ${NR.openat}:-100:@/etc/hostname:0 ${QUIET}`),
      );
      const first = { int: BigInt(pid), uint32: 0xffff_ffffn, file: "/etc/hostname" }[
        type as "int" | "uint32" | "file"
      ];
      assert.deepEqual(
        [values, statuses],
        [
          [first, undefined],
          [0, 1],
        ],
        array,
      );
    }
  });

  test("a string in an array ends with the array", () => {
    const script = `/tmp/script-${process.pid}`;
    writeFileSync(script, `#!/bin/sh ${"x".repeat(400)}\n`, { mode: 0o755 });
    const hook = makeHookOn("security_bprm_check", {
      args: [
        { index: 0, type: "string", resolve: "buf" },
        { index: 0, type: "linux_binprm" },
      ],
      selectors: [makeSelector(matchText("equal", [script], 1))],
    });
    const [hit] = engine.watch([hook], () => act(`exec ${script}`));
    assert.equal(hit?.values[0], `#!/bin/sh ${"x".repeat(400)}`.slice(0, 256));
  });
});

describe("files", () => {
  const opens = (path: string) => act(`call ${NR.openat}:-100:@${path}:0`);

  test("are shown by their path", () => {
    const file = makeHookOn("security_file_open", { args: makeArgs("file") });
    const hits = engine.watch([file], () => opens("/etc/hostname"));
    assert.ok(hits.some(({ values }) => values[0] === "/etc/hostname"));
  });

  test("match by path and by kind", () => {
    const text = (how: TextComparison, ...values: string[]) => matchText(how, values);
    const kind = (...types: ("regular" | "directory")[]): FilterDef => ({
      match: "arg",
      arg: 0,
      negate: false,
      compare: "fileType",
      types,
    });
    const filters = [
      [text("equal", "/no/such", "/etc/hostname")],
      [text("equal", "/etc/host")],
      [text("prefix", "/etc/hos"), kind("regular")],
      [text("prefix", "/etc/hos"), kind("directory")],
      [text("postfix", "/hostname")],
      [text("postfix", "/hostnam")],
    ];
    let pid = 0;
    const hits = engine.watch(
      filters.map((all) =>
        makeHookOn("security_file_open", { args: makeArgs("file"), selectors: [makeSelector(...all)] }),
      ),
      () => {
        pid = opens("/etc/hostname").pid;
      },
    );
    // An overlay file system opens the file below it too.
    assert.deepEqual(
      filters.map((_, hook) => hits.some((hit) => hit.hook === hook && hit.pid === pid)),
      [true, false, true, false, true, false],
    );
  });

  test("of a program that is executed, by its path", () => {
    const hook = makeHookOn("security_bprm_check", {
      args: makeArgs("linux_binprm"),
      selectors: [makeSelector(matchText("equal", [ACT]))],
    });
    assert.deepEqual(
      engine.watch([hook], () => act("exit 0")).map(({ values }) => values),
      [[ACT]],
    );
  });

  test("by the number of a descriptor", () => {
    const hook = makeHookOn("sys_fcntl", { args: makeArgs("fd", "int") });
    const steps = `call ${NR.openat}:-100:@/etc/hostname:0 call 72:3:1 call 72:99:1`;
    const hits = engine.watch([hook], () => act(steps)).filter(({ values }) => values[1] === 1n);
    assert.deepEqual(
      hits.slice(-2).map(({ values, statuses }) => [values[0], statuses[0]]),
      [
        ["/etc/hostname", 0],
        [undefined, 1],
      ],
    );
  });
});

describe("strings and gained capabilities", () => {
  test("a string is compared as a whole, from its beginning and from its end", () => {
    const text = (how: TextComparison, value: string, negate = false) => matchText(how, [value], 1, negate);
    const filters = [
      text("equal", "/no/such/file"),
      text("equal", "/no/such"),
      text("equal", "/no/such", true),
      text("prefix", "/no/such/"),
      text("prefix", "/no/such/file/"),
      text("postfix", "/file"),
      text("postfix", "/such"),
    ];
    const hits = engine.watch(
      filters.map((filter) =>
        makeHookOn("sys_openat", {
          args: makeArgs("int", "string"),
          selectors: [makeSelector(onArg(0, -77), filter)],
        }),
      ),
      () => act(`call ${NR.openat}:-77:@/no/such/file:0`),
    );
    assert.deepEqual(
      filters.map((_, hook) => hits.filter((hit) => hit.hook === hook).length),
      [1, 0, 1, 1, 0, 1, 0],
    );
  });

  describe("anywhere in a string", () => {
    const within = (values: string[], how: TextComparison = "substring") => matchText(how, values);
    const hundred = Array.from({ length: 100 }, (_, n) => `no-${n}-such-text`);
    const opens = (filters: FilterDef[], path: string) => {
      const args: ArgDef[] = [
        { index: 1, type: "string" },
        { index: 0, type: "int" },
      ];
      const only = onArg(1, -77);
      const hits = engine.watch(
        filters.map((filter) => makeHookOn("sys_openat", { args, selectors: [makeSelector(only, filter)] })),
        () => act(`call ${NR.openat}:-77:@${path}:0`),
      );
      return filters.map((_, hook) => hits.filter((hit) => hit.hook === hook).length);
    };

    test("also after partial matches", () => {
      const filters = [
        within(["such"]),
        within(["sucks", "suchlike"]),
        within(["/no", "zzz"]),
        within(["file"]),
        within(["SUCH"]),
        within(["SuCh"], "substringIgnoreCase"),
        within([...hundred, "/f"]),
        within(hundred),
      ];
      assert.deepEqual(opens(filters, "/no/sususuch/file"), [1, 0, 1, 1, 0, 1, 1, 0]);
    });

    test("of a string of 4096 bytes, up to its end", () => {
      const path = `/${"x".repeat(4092)}end`;
      const filters = [
        within(["end"]),
        within(["endx"]),
        within(["xend"]),
        within(["/x"]),
        within([`/${"x".repeat(60)}`]),
        within([`/${"x".repeat(60)}y`]),
      ];
      assert.deepEqual(opens(filters, path), [1, 0, 1, 1, 1, 0]);
    });

    test("as a whole or at its beginning, if the value is longer than 255 bytes", () => {
      const path = `/no/${"x".repeat(300)}/${"y".repeat(287)}`; // 592 bytes: 37 blocks of the search
      const like = (how: TextComparison, value: string, negate = false) =>
        matchText(how, [value, `/other/${"z".repeat(300)}`], 0, negate);
      const filters = [
        like("equal", path),
        like("equal", `${path}y`),
        like("equal", path.slice(0, -1)),
        like("equal", path.slice(0, -1), true),
        like("prefix", path.slice(0, 400)),
        like("prefix", path.slice(1, 400)),
        like("prefix", `${path}y`),
      ];
      assert.deepEqual(opens(filters, path), [1, 0, 0, 1, 1, 0, 0]);
      const shorter = path.slice(0, -5);
      assert.deepEqual(opens([like("equal", shorter), like("equal", path)], shorter), [1, 0]);
    });

    test("of a path as a whole or at its beginning, if the value is longer than 255 bytes", () => {
      const directory = `/tmp/${"d".repeat(200)}/${"e".repeat(100)}`;
      mkdirSync(directory, { recursive: true });
      const file = `${directory}/file`;
      writeFileSync(file, "");
      const filters = [
        matchText("equal", [file]),
        matchText("equal", [directory]),
        matchText("prefix", [`${directory}/`]),
        matchText("prefix", [`${directory}x`]),
      ];
      const defs = filters.map((filter) =>
        makeHookOn("security_file_open", { args: makeArgs("file"), selectors: [makeSelector(filter)] }),
      );
      let pid = 0;
      const hits = engine.watch(defs, () => {
        pid = act(`call ${NR.openat}:-100:@${file}:0`).pid;
      });
      assert.deepEqual(
        filters.map((_, hook) => hits.some((hit) => hit.hook === hook && hit.pid === pid)),
        [true, false, true, false],
      );
    });

    test("not in bytes that a longer string has left behind", () => {
      const args: ArgDef[] = [{ index: 1, type: "string" }];
      const selectors = [makeSelector(within(["9-secret"]))];
      const hits = engine.watch([makeHookOn("sys_openat", { args, selectors })], () =>
        act(
          ["/0123456789-secret", "/0123456789", "/"]
            .map((path) => `call ${NR.openat}:-77:@${path}:0`)
            .join(" "),
        ),
      );
      assert.deepEqual(
        hits.map(({ values }) => values[0]),
        ["/0123456789-secret"],
      );
    });

    test("of a path", () => {
      const filters = [within(["local"]), within(["etc/host"]), within(["/etc/hostnames"])];
      const defs = filters.map((filter) =>
        makeHookOn("security_file_open", { args: makeArgs("file"), selectors: [makeSelector(filter)] }),
      );
      let pid = 0;
      const hits = engine.watch(defs, () => {
        pid = act(`call ${NR.openat}:-100:@/etc/hostname:0`).pid;
      });
      assert.deepEqual(
        filters.map((_, hook) => hits.some((hit) => hit.hook === hook && hit.pid === pid)),
        [false, true, false],
      );
    });

    describe("often in one hook, by fentry", () => {
      const selectors = Array.from({ length: 4 }, (_, n) => [
        within([`${n}`]),
        within([`x${n}`]),
        within([`p/x${n}`], "substringIgnoreCase"),
        within([`/x${n}`, ...hundred.slice(0, 50)]),
        within(["mp/"]),
      ]);
      const ofString = makeHookOn("sys_openat", { args: makeArgs("nop", "string").slice(1) });
      const ofPath = makeHookOn("security_file_open", { args: makeArgs("file") });
      /** A hook with the first selectors, and the first filters of each. */
      const asking = (def: HookDef, count: number, filters: number): HookDef => {
        const own = selectors.slice(0, count).map((each) => makeSelector(...each.slice(0, filters)));
        return { ...def, section: "fentries", selectors: own };
      };
      const path = "/tmp/x2";
      const check = (def: HookDef) => {
        writeFileSync(path, "");
        const hook = engine.attach(def);
        assert.equal(hook.status.attach, "fentry", hook.status.message);
        const hits = engine.hitsOf([hook], () => act(`call ${NR.openat}:-100:@${path}:0`));
        hook.detach();
        const ofFile = hits.filter((hit) => hit.values[0] === path);
        assert.deepEqual([...new Set(ofFile.map((hit) => hit.selector))], [2]);
      };

      test("20 filters of a string", () => check(asking(ofString, 4, 5)));
      test("6 filters of a path", () => check(asking(ofPath, 3, 2)));
      test("20 filters of a path, or the status says that these are too many", () => {
        const def = asking(ofPath, 4, 5);
        const hook = engine.engine.attach(def);
        hook.detach();
        if (hook.status.state === "Attached") check(def);
        else
          assert.match(
            hook.status.message ?? "",
            /too large for this kernel: 20 of its filters are with SubString/,
          );
      });
    });
  });

  test("CapabilitiesGained: a bit of the new set that the old one lacks", () => {
    // security_capset(new, old, effective, inheritable, permitted)
    const args: ArgDef[] = [
      { index: 1, type: "cap_effective", resolve: "cap_effective" },
      { index: 2, type: "cap_effective" },
    ];
    const hook = (arg: number, newArg: number) =>
      makeHookOn("security_capset", {
        args,
        selectors: [makeSelector({ match: "arg", compare: "gained", arg, newArg })],
      });
    const hits = engine.watch([hook(0, 1), hook(1, 0)], () => act("drop 21"));
    assert.deepEqual(
      hits.map((hit) => hit.hook),
      [1],
    );
  });
});
