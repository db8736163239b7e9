import { describe, expect, test } from "vitest";
import { SYSCALL_NAMES } from "../../crds/syscall-table.ts";
import { recordedPrototypes } from "../probes/prototypes.ts";
import { type Loose, makePolicy, makeProbe, warningsOf } from "../testing/policies.ts";

const quietly = (policy: Loose): string[] =>
  warningsOf(policy)
    .filter((warning) => !/runs at every exec|Trigon knows|Override of a system call needs/.test(warning))
    .map((warning) => warning.replace(/^spec\.\w+\[0\]\./, ""));
const kernel = (call: string, more: Loose = {}) =>
  makePolicy({ kprobes: [makeProbe({ call, syscall: false, args: [], ...more })] });
const syscall = (call: string, selector: Loose, more: Loose = {}) =>
  makePolicy({ kprobes: [makeProbe({ call, args: [], selectors: [selector], ...more })] });
const lsm = (hook: string, more: Loose) => makePolicy({ lsmhooks: [{ hook, ...more }] });
const event = (name: string, selector: Loose) =>
  makePolicy({ tracepoints: [{ subsystem: "syscalls", event: name, selectors: [selector] }] });

const CAPABILITIES = { matchCapabilityChanges: [{ operator: "In", values: ["CAP_SYS_ADMIN"] }] };
const NAMESPACES = { matchNamespaceChanges: [{ operator: "In", values: ["Mnt", "User"] }] };
const USER = { matchNamespaceChanges: [{ operator: "In", values: ["User"] }] };

describe("a comparison before the change", () => {
  const early = (call: string, right: string) =>
    `compares before ${call} makes the change, so it misses that change: ${right}`;
  const exit = (call: string) =>
    `write the selector on the tracepoint syscalls/sys_exit_${call}, which runs after the call`;
  const atCapabilities = "selectors[0].matchCapabilityChanges";
  const atNamespaces = "selectors[0].matchNamespaceChanges";
  const compares = "use matchCredChanges, which compares the old credentials with the new ones";

  const warned: Record<string, [policy: Loose, warning: string]> = {
    "capabilities before new credentials are installed": [
      kernel("security_task_fix_setuid", { selectors: [CAPABILITIES] }),
      `${atCapabilities}: ${early("security_task_fix_setuid", compares)}`,
    ],
    "capabilities where an LSM hook is asked about new credentials": [
      lsm("capset", { selectors: [CAPABILITIES] }),
      `${atCapabilities}: ${early("capset", compares)}`,
    ],
    "capabilities before a program is looked at": [
      lsm("bprm_check_security", { selectors: [CAPABILITIES] }),
      `${atCapabilities}: ${early("bprm_check_security", "hook commit_creds with matchCredChanges")}`,
    ],
    "capabilities where a call is kept from being made": [
      syscall("sys_setuid", { ...CAPABILITIES, matchActions: [{ action: "Override", argError: -1 }] }),
      `${atCapabilities}: ${early("setuid", exit("setuid"))}`,
    ],
    "capabilities at the tracepoint of an exec": [
      event("sys_enter_execve", CAPABILITIES),
      `${atCapabilities}: ${early("execve", "hook commit_creds with matchCredChanges")}`,
    ],
    "namespaces at the tracepoint of that entry": [
      event("sys_enter_setns", NAMESPACES),
      `${atNamespaces}: ${early("setns", exit("setns"))}`,
    ],
    "the user namespace of credentials": [
      kernel("security_task_fix_setuid", { selectors: [USER] }),
      `${atNamespaces}: ${early("security_task_fix_setuid", "use matchCredChanges with the field userNamespace")}`,
    ],
  };
  test.each(Object.entries(warned))("warns of %s", (_name, [policy, warning]) => {
    expect(quietly(policy)).toEqual([warning]);
  });

  const silent: Record<string, Loose> = {
    "capabilities after the call": event("sys_exit_setuid", CAPABILITIES),
    "namespaces after the call": event("sys_exit_unshare", NAMESPACES),
    "capabilities at a call that changes none": syscall("sys_openat", CAPABILITIES),
    "capabilities at another function": kernel("fd_install", { selectors: [CAPABILITIES] }),
    "capabilities where new credentials are installed": kernel("commit_creds", { selectors: [CAPABILITIES] }),
    "the user namespace where new credentials are installed": kernel("commit_creds", { selectors: [USER] }),
    "capabilities at the return of a call": syscall("sys_setuid", CAPABILITIES),
    "capabilities at the return of an exec": syscall("sys_execve", CAPABILITIES),
    "namespaces at the return of a call": syscall("sys_unshare", NAMESPACES),
  };
  test.each(Object.entries(silent))("does not warn of %s", (_name, policy) => {
    expect(quietly(policy)).toEqual([]);
  });
});

describe("credentials of a linux_binprm", () => {
  const member = (resolve: string) => {
    const type = resolve === "cred.cap_effective" ? "cap_effective" : "uint32";
    return { args: [{ index: 0, type, resolve }] };
  };
  const unset = (hook: string, later: string) =>
    `args[0].resolve: is not yet set for the new program at ${hook}, where it is the caller's: hook ${later}`;

  test.each([
    ["bprm_check_security", "cred.euid.val"],
    ["bprm_creds_for_exec", "cred.euid.val"],
    ["bprm_check_security", "secureexec"],
    ["bprm_creds_from_file", "cred.cap_effective"],
  ])("are those of the caller at %s: %s", (hook, resolve) => {
    expect(quietly(lsm(hook, member(resolve)))).toEqual([unset(hook, "bprm_committing_creds")]);
  });

  test("are those of the caller at the function, too", () => {
    const policy = kernel("security_bprm_check", member("cred.euid.val"));
    expect(quietly(policy)).toEqual([unset("security_bprm_check", "security_bprm_committing_creds")]);
  });

  test("are gone when they have been installed", () => {
    expect(quietly(lsm("bprm_committed_creds", member("cred.euid.val")))).toEqual([
      "args[0].resolve: is empty at bprm_committed_creds, which runs after they are installed: hook bprm_committing_creds",
    ]);
  });

  test.each([
    ["bprm_committing_creds", "cred.cap_effective"],
    ["bprm_creds_from_file", "cred.euid.val"],
    ["bprm_check_security", "argc"],
  ])("are right at %s: %s", (hook, resolve) => {
    expect(quietly(lsm(hook, member(resolve)))).toEqual([]);
  });
});

describe("Sigkill", () => {
  const KILL = { action: "Sigkill" };
  const late = (call: string) =>
    `ends the caller, but ${call} may still be carried out: write Override before it under kprobes, which keeps the call from being made`;

  const warned: Record<string, [policy: Loose, warning: string]> = {
    "of a process that ends": [
      syscall("sys_exit_group", { matchActions: [KILL] }),
      "selectors[0].matchActions[0].action: Sigkill is too late at sys_exit_group: the process ends anyway",
    ],
    "of a call whose effect stays": [
      syscall("sys_mount", { matchActions: [{ action: "NoPost" }, KILL] }),
      `selectors[0].matchActions[1].action: Sigkill ${late("sys_mount")}`,
    ],
    "as a signal with its number": [
      syscall("sys_delete_module", { matchActions: [{ action: "Signal", argSig: 9 }] }),
      `selectors[0].matchActions[0].action: Signal ${late("sys_delete_module")}`,
    ],
    "when such a call returns": [
      syscall(
        "sys_mount",
        { matchReturnActions: [KILL] },
        { return: true, returnArg: { index: 0, type: "int" } },
      ),
      `selectors[0].matchReturnActions[0].action: Sigkill ${late("sys_mount")}`,
    ],
  };
  test.each(Object.entries(warned))("warns of one %s", (_name, [policy, warning]) => {
    expect(quietly(policy)).toEqual([warning]);
  });

  const silent: Record<string, Loose> = {
    "at a call that changes the caller alone": syscall("sys_setuid", { matchActions: [KILL] }),
    "beside an Override": syscall("sys_mount", {
      matchActions: [{ action: "Override", argError: -1 }, KILL],
    }),
    "with another signal": syscall("sys_mount", { matchActions: [{ action: "Signal", argSig: 15 }] }),
  };
  test.each(Object.entries(silent))("does not warn of one %s", (_name, policy) => {
    expect(quietly(policy)).toEqual([]);
  });
});

describe("selectors that all post nothing", () => {
  const noPost = { matchActions: [{ action: "NoPost" }] };
  const selectors = (...list: Loose[]) => makePolicy({ kprobes: [makeProbe({ selectors: list })] });
  const pid = { matchPIDs: [{ operator: "In", values: [7] }] };

  test("are warned of where they do nothing either", () => {
    expect(quietly(selectors({ ...pid, ...noPost }, noPost))).toEqual([
      "selectors: post nothing and do nothing, so hits are only counted: leave NoPost out of the selector whose hits are wanted",
    ]);
  });

  test.each([
    ["one of several posts", selectors({ ...pid, ...noPost }, {})],
    ["a process ends by them", selectors({ matchActions: [{ action: "Sigkill" }, { action: "NoPost" }] })],
    ["there are none", selectors()],
  ])("are not where %s", (_name, policy) => {
    expect(quietly(policy)).toEqual([]);
  });
});

describe("selectors that match nothing, or everything", () => {
  const cred = (operator: string, ...values: string[]) => ({ field: "euid", operator, values });
  const arg = (operator: string, ...values: string[]) => ({ index: 0, operator, values });
  const texts = (...matchArgs: Loose[]) =>
    kernel("some_function", { args: [{ index: 0, type: "string" }], selectors: [{ matchArgs }] });
  const numbers = (...matchArgs: Loose[]) =>
    kernel("some_function", { args: [{ index: 0, type: "int" }], selectors: [{ matchArgs }] });
  const one = (selector: Loose) => kernel("some_function", { selectors: [selector] });
  const never = (what: string, index = 0) => `selectors[${index}]: never matches: ${what}`;
  const exclude = (operand: string, index = 0) =>
    never(`its filters on ${operand} exclude each other`, index);
  const hidden = never(
    "selectors[0] matches all that this one matches, and the first selector that matches decides",
    1,
  );
  const everything = (one: number, other: number) =>
    `selectors: selectors[${one}] and selectors[${other}] each match what the other one leaves out, so every call is matched: put the values of both into one filter, or both filters into one selector`;
  const either = (...selectors: Loose[]) => kernel("some_function", { selectors });
  const alternatives = (...matchArgs: Loose[][]) =>
    kernel("some_function", {
      args: [{ index: 0, type: "int" }],
      selectors: matchArgs.map((filters) => ({ matchArgs: filters })),
    });

  const warned: Record<string, [policy: Loose, warning: string]> = {
    "two ids at once": [
      one({ matchCurrentCred: [cred("Equal", "0"), cred("Equal", "1000")] }),
      exclude("the current euid"),
    ],
    "an id in a range that is left out": [
      one({ matchCurrentCred: [cred("Equal", "5"), cred("NotInRange", "0:10")] }),
      exclude("the current euid"),
    ],
    "two numbers at once": [numbers(arg("Equal", "1"), arg("GT", "1")), exclude("args[0]")],
    "all numbers of the type, which two filters leave out": [
      kernel("some_function", {
        args: [{ index: 0, type: "uint8" }],
        selectors: [{ matchArgs: [arg("NotEqual", "0"), arg("NotInRange", "1:255")] }],
      }),
      exclude("args[0]"),
    ],
    "both values of noNewPrivs, which two filters leave out": [
      one({
        matchCurrentCred: [
          { field: "noNewPrivs", operator: "NotEqual", values: ["0"] },
          { field: "noNewPrivs", operator: "NotEqual", values: ["1"] },
        ],
      }),
      exclude("the current noNewPrivs"),
    ],
    "a text with another beginning": [
      texts(arg("Equal", "/etc/a"), arg("Prefix", "/usr")),
      exclude("args[0]"),
    ],
    "two beginnings": [texts(arg("Prefix", "/etc/a"), arg("Prefix", "/etc/b")), exclude("args[0]")],
    "two endings": [texts(arg("Postfix", ".so"), arg("Postfix", ".conf")), exclude("args[0]")],
    "bits that the number has not": [numbers(arg("Mask", "8"), arg("Equal", "7", "16")), exclude("args[0]")],
    "bits above all numbers of a range": [
      numbers(arg("InRange", "0:7"), arg("Mask", "24")),
      exclude("args[0]"),
    ],
    "bits of a return value that the number has not": [
      kernel("some_function", {
        return: true,
        returnArg: { index: 0, type: "int" },
        selectors: [{ matchReturnArgs: [arg("Mask", "1"), arg("Equal", "0")] }],
      }),
      exclude("the return value"),
    ],
    "a text that is left out": [texts(arg("Equal", "/a"), arg("NotEqual", "/a")), exclude("args[0]")],
    "two processes": [
      one({
        matchPIDs: [
          { operator: "In", values: [1] },
          { operator: "NotIn", values: [1, 2] },
        ],
      }),
      exclude("the pid"),
    ],
    "those that descend from a process, and those that do not": [
      one({
        matchPIDs: [
          { operator: "In", followForks: true, values: [1] },
          { operator: "NotIn", followForks: true, values: [1, 2] },
        ],
      }),
      exclude("the pids that forks are followed from"),
    ],
    "a capability that is left out": [
      one({
        matchCapabilities: [
          { operator: "In", values: ["CAP_BPF"] },
          { operator: "NotIn", values: ["CAP_BPF", "CAP_CHOWN"] },
        ],
      }),
      exclude("the Effective capabilities"),
    ],
    "the initial user namespace without itself": [
      one({
        matchNamespaces: [{ namespace: "User", operator: "In", values: ["host_ns"] }],
        matchCapabilities: [{ operator: "In", values: ["CAP_BPF"], isNamespaceCapability: true }],
      }),
      never(
        "isNamespaceCapability: true leaves out processes of the initial user namespace, and matchNamespaces takes no others",
      ),
    ],
    "what comes behind a selector without filters": [
      kernel("some_function", { selectors: [{}, { matchPIDs: [{ operator: "In", values: [1] }] }] }),
      never("selectors[0] has no filters, and the first selector that matches decides", 1),
    ],
    "what comes behind a wider selector": [
      kernel("some_function", {
        selectors: [
          { matchPIDs: [{ operator: "In", values: [1] }] },
          { matchPIDs: [{ operator: "In", values: [1] }], matchCurrentCred: [cred("Equal", "0")] },
        ],
      }),
      hidden,
    ],
    "two numbers, each left out by one of two selectors": [
      alternatives([arg("NotEqual", "0")], [arg("NotEqual", "1")]),
      everything(0, 1),
    ],
    "two lists of binaries, each left out by one of two selectors": [
      either(
        { matchPIDs: [{ operator: "In", values: [1] }] },
        { matchBinaries: [{ operator: "NotIn", values: ["/usr/bin/sudo"] }] },
        { matchBinaries: [{ operator: "NotIn", values: ["/usr/bin/su", "/usr/sbin/sshd"] }] },
      ),
      everything(1, 2),
    ],
    "a number in the range of an earlier selector": [
      alternatives([arg("InRange", "0:99")], [arg("Equal", "0"), arg("Mask", "1")]),
      exclude("args[0]", 1),
    ],
    "a number below the bound of an earlier selector": [
      alternatives([arg("LT", "1000")], [arg("GT", "5"), arg("LT", "10")]),
      hidden,
    ],
    "numbers that an earlier selector does not leave out": [
      alternatives([arg("NotEqual", "0")], [arg("Equal", "1", "2")]),
      hidden,
    ],
    "a process of those of an earlier selector": [
      either(
        { matchPIDs: [{ operator: "In", values: [1, 2] }] },
        { matchPIDs: [{ operator: "In", values: [2] }] },
      ),
      hidden,
    ],
    "a capability of those of an earlier selector": [
      either(
        { matchCapabilities: [{ operator: "In", values: ["CAP_BPF", "CAP_KILL"] }] },
        { matchCapabilities: [{ operator: "In", values: ["CAP_KILL"] }] },
      ),
      hidden,
    ],
    "an ending that is left out": [texts(arg("Postfix", ".so"), arg("NotPostfix", "o")), exclude("args[0]")],
    "a beginning that is left out": [
      texts(arg("Prefix", "/etc/a"), arg("NotPrefix", "/etc/")),
      exclude("args[0]"),
    ],
  };
  test.each(Object.entries(warned))("is warned of: %s", (_name, [policy, warning]) => {
    expect(quietly(policy)).toEqual([warning]);
  });

  const silent: Record<string, Loose> = {
    "ranges that overlap": numbers(arg("GT", "1"), arg("LT", "3")),
    "two ranges that are left out and share a number": alternatives(
      [arg("NotInRange", "0:9")],
      [arg("NotInRange", "9:20")],
    ),
    "binaries that two selectors leave out": either(
      { matchBinaries: [{ operator: "NotIn", values: ["/usr/bin/su", "/usr/bin/sudo"] }] },
      { matchBinaries: [{ operator: "NotIn", values: ["/usr/bin/sudo", "/usr/sbin/sshd"] }] },
    ),
    "capabilities, of which a process has several": either(
      { matchCapabilities: [{ operator: "NotIn", values: ["CAP_BPF"] }] },
      { matchCapabilities: [{ operator: "NotIn", values: ["CAP_KILL"] }] },
    ),
    "values on both sides of a range": numbers(arg("Equal", "1", "20"), arg("NotInRange", "0:10")),
    "a beginning and a longer one": texts(arg("Prefix", "/etc"), arg("Prefix", "/etc/a")),
    "an ending and a longer one": texts(arg("Postfix", ".conf"), arg("Postfix", "a.conf")),
    "bits that some numbers have": numbers(arg("Mask", "8"), arg("InRange", "7:8")),
    "bits of a negative number": numbers(arg("Mask", "8"), arg("LT", "0")),
    "an ending of which one is left": texts(arg("Postfix", ".so", ".conf"), arg("NotPostfix", "o")),
    "a beginning and an excluded longer one": texts(arg("Prefix", "/etc/"), arg("NotPrefix", "/etc/a")),
    "a number on the edge of an earlier range": alternatives(
      [arg("InRange", "0:9")],
      [arg("InRange", "9:10")],
    ),
    "other bits than those of an earlier selector": alternatives([arg("Mask", "3")], [arg("Equal", "4")]),
    "a number that an earlier selector compares in another argument": kernel("some_function", {
      args: [
        { index: 0, type: "int" },
        { index: 1, type: "int" },
      ],
      selectors: [{ matchArgs: [arg("GT", "0")] }, { matchArgs: [{ ...arg("Equal", "5"), index: 1 }] }],
    }),
    "a beginning and an end": texts(arg("Prefix", "/a"), arg("Postfix", "b")),
    "capabilities of which one is left": one({
      matchCapabilities: [
        { operator: "In", values: ["CAP_BPF", "CAP_KILL"] },
        { operator: "NotIn", values: ["CAP_BPF"] },
      ],
    }),
    "a selector that decides at return before another": kernel("some_function", {
      return: true,
      returnArg: { index: 0, type: "int" },
      selectors: [{ matchReturnArgs: [{ index: 0, operator: "Equal", values: ["0"] }] }, {}],
    }),
  };
  test.each(Object.entries(silent))("is not warned of: %s", (_name, policy) => {
    expect(quietly(policy)).toEqual([]);
  });
});

describe("a return value that Override excludes", () => {
  const overriding = (type: string, operator: string, value: string, error = -1) =>
    syscall(
      "sys_setuid",
      {
        matchReturnArgs: [{ index: 0, operator, values: [value] }],
        matchActions: [{ action: "Override", argError: error }],
      },
      { return: true, returnArg: { index: 0, type } },
    );

  test.each([
    ["int", "Equal", "0"],
    ["long", "NotEqual", "-1"],
    ["uint32", "LT", "4294967295"],
    ["int", "Mask", "2"],
  ])("is warned of: %s %s %s", (type, operator, value) => {
    const error = operator === "Mask" ? -1 - Number(value) : -1;
    expect(quietly(overriding(type, operator, value, error))).toEqual([
      `selectors[0].matchReturnArgs: leave out ${error}, which Override lets the call return: it is refused without an event`,
    ]);
  });

  test.each([
    ["int", "Equal", "-1"],
    ["int", "LT", "0"],
    ["uint32", "Equal", "4294967295"],
    ["int", "Mask", "1"],
  ])("is not warned of where it is one of the values: %s %s %s", (type, operator, value) => {
    expect(quietly(overriding(type, operator, value))).toEqual([]);
  });
});

describe("Override of a system call", () => {
  const override = (call: string) =>
    syscall(call, { matchActions: [{ action: "Post" }, { action: "Override", argError: -1 }] });
  const needs =
    "spec.kprobes[0].selectors[0].matchActions: Override of a system call needs Linux 7.0 or a kernel with CONFIG_BPF_KPROBE_OVERRIDE, which Debian's are built without";

  test.each([
    ["sys_setresuid", ": security_task_fix_setuid under kprobes can be overridden on all"],
    ["sys_setns", ""],
  ])("is warned of, with what works everywhere: %s", (call, advice) => {
    expect(warningsOf(override(call))).toEqual([`${needs}${advice}`]);
  });

  test("is warned of at the call of an enforcer", () => {
    const lists = [{ name: "l", type: "syscalls", values: ["sys_setns"] }];
    const actions = [{ action: "NotifyEnforcer", argError: -1 }];
    const selectors = [
      { matchArgs: [{ args: [0], operator: "InMap", values: ["list:l"] }], matchActions: actions },
    ];
    const args = [{ index: 4, type: "syscall64" }];
    const tracepoints = [{ subsystem: "raw_syscalls", event: "sys_enter", args, selectors }];
    const policy = makePolicy({ lists, enforcers: [{ calls: ["list:l"] }], tracepoints });
    expect(warningsOf(policy)).toContain(needs.replace(/^\S+:/, "spec.enforcers[0].calls[0]:"));
  });

  test("is not warned of at other functions and without it", () => {
    const selectors = [{ matchActions: [{ action: "Override", argError: -1 }] }];
    expect(warningsOf(kernel("security_capset", { selectors }))).toEqual([]);
    expect(warningsOf(syscall("sys_setuid", {}))).toEqual([]);
  });

  test("the functions that it names return an error, on every kernel", () => {
    const named = SYSCALL_NAMES.flatMap((call) => warningsOf(override(`sys_${call}`))).flatMap(
      (warning) => /(\w+) under kprobes can be overridden/.exec(warning)?.[1] ?? [],
    );
    expect(named.length).toBeGreaterThan(30);
    for (const name of new Set(named)) {
      const prototypes = recordedPrototypes({ name, syscall: false });
      const kernels = prototypes.reduce((bits, [other]) => bits | other, 0);
      expect([name, kernels, ...new Set(prototypes.map(([, type]) => type))]).toEqual([name, 0b1111, "int"]);
    }
  });
});

describe("calls that 32-bit programs make by another one", () => {
  const calls = (...names: string[]) =>
    makePolicy({ kprobes: names.map((call) => makeProbe({ call, args: [] })) });
  const list = (values: string[], probe: Loose) =>
    makePolicy({ lists: [{ name: "watched", type: "syscalls", values }], ...probe });
  const left = (call: string, by: string) =>
    `leaves out 32-bit programs on x86-64 that make ${call} by ${by}, with other arguments`;

  test.each([
    ["sys_connect", "socketcall", ": security_socket_connect under kprobes sees all callers"],
    ["sys_semtimedop", "ipc", ": security_sem_semop under kprobes sees all callers"],
    ["sys_mmap", "ia32_mmap or mmap_pgoff", ": security_mmap_file under kprobes sees all callers"],
    ["sys_statfs", "statfs64", ": security_sb_statfs under kprobes sees all callers"],
    ["sys_lseek", "llseek", ""],
  ])("%s is warned of", (call, by, advice) => {
    expect(quietly(calls(call))).toEqual([`call: ${left(call.slice(4), by)}${advice}`]);
  });

  test("a call with one entry for each caller is not", () => {
    expect(quietly(calls("sys_setuid", "sys_openat", "sys_umask"))).toEqual([]);
  });

  test("a list of many is one warning", () => {
    const values = ["socket", "bind", "connect", "listen", "accept4", "sendto", "recvfrom", "setuid"];
    const probe = { kprobes: [makeProbe({ call: "list:watched", args: [] })] };
    expect(
      quietly(
        list(
          values.map((name) => `sys_${name}`),
          probe,
        ),
      ),
    ).toEqual([
      "call: leaves out 32-bit programs on x86-64 that make socket, bind, connect, listen, accept4 or 2 more by calls with other arguments, such as socketcall: hook the functions behind them, such as security_socket_connect",
    ]);
  });

  test("a list as values is warned of where it names such a call, and has the numbers of the others", () => {
    const tracepoint = (call: string) =>
      list([call], {
        tracepoints: [
          {
            ...{ subsystem: "raw_syscalls", event: "sys_enter", args: [{ index: 4, type: "syscall64" }] },
            selectors: [{ matchArgs: [{ index: 4, operator: "InMap", values: ["list:watched"] }] }],
          },
        ],
      });
    const of = (call: string) => quietly(tracepoint(call)).filter((line) => !/costs time/.test(line));
    expect(of("sys_connect")).toEqual([
      "selectors[0]: leaves out 32-bit programs on x86-64 that make such a call by socketcall",
    ]);
    expect(of("sys_statfs")).toEqual([]);
  });

  test.each([
    [
      "sys_socketcall",
      "which make socket and others by it: hook the functions behind these, such as security_socket_connect under kprobes",
    ],
    [
      "sys_ipc",
      "which make semop and others by it: hook the functions behind these, such as security_sem_semop under kprobes",
    ],
  ])("%s is none to hook", (call, advice) => {
    expect(warningsOf(calls(call))).toEqual([
      `spec.kprobes[0].call: "${call}" is a call of 32-bit programs alone, ${advice}`,
    ]);
  });

  test("one with other arguments does not lead to a call that leaves it out", () => {
    expect(warningsOf(calls("sys_mmap2"))).toEqual([
      'spec.kprobes[0].call: "sys_mmap2" is a call of 32-bit programs alone; that of others is sys_mmap',
    ]);
  });

  test.each([
    ["sys_setuid32", "sys_setuid"],
    ["sys_futex_time64", "sys_futex"],
  ])("%s leads to its common name", (call, common) => {
    expect(warningsOf(calls(call))).toEqual([
      `spec.kprobes[0].call: "${call}" is a call of 32-bit programs alone: write ${common}, which sees them too`,
    ]);
  });
});
