import { describe, expect, test } from "vitest";
import { encodeHookSpec, parseHookSpec } from "../crds/hook-spec-codec.ts";
import { compilePolicy } from "./compile.ts";
import {
  errorsOf,
  hooksOf,
  type Loose,
  makePolicy,
  makeProbe,
  makeProbePolicy,
  warningsOf,
} from "./testing/policies.ts";

const PROBE = "spec.kprobes[0]";

describe("a policy as a whole", () => {
  const refused: Record<string, [policy: unknown, errors: string[]]> = {
    "a value that is no object": [
      "text",
      [": is not a policy: expected an object with apiVersion, kind, metadata and spec"],
    ],
    nothing: [undefined, [": is not a policy: expected an object with apiVersion, kind, metadata and spec"]],
    "no kind": [{}, [`kind: "kind" is missing: must be TracingPolicy or TracingPolicyNamespaced`]],
    "a misspelt kind": [
      { ...makePolicy({}), kind: "TracingPolicies" },
      [`kind: kind "TracingPolicies" is not a policy: did you mean "TracingPolicy"?`],
    ],
    "another version": [
      { ...makePolicy({}), apiVersion: "cilium.io/v2" },
      [`apiVersion: "cilium.io/v2" is not known: must be cilium.io/v1alpha1`],
    ],
    "no name": [
      { ...makeProbePolicy(), metadata: {} },
      [`metadata.name: "name" is missing: every policy has one`],
    ],
    "a name with spaces": [
      { ...makeProbePolicy(), metadata: { name: "a b" } },
      [`metadata.name: "a b" is not a name: lower-case letters, digits, "-" and ".", at most 253`],
    ],
    "no spec": [
      { ...makeProbePolicy(), spec: undefined },
      [
        `spec: "spec" is missing: What to watch: one kind of probes, what to read there and when to report it.`,
      ],
    ],
    "no hooks": [makePolicy({}), ["spec: has no hooks: add kprobes, fentries, tracepoints or lsmhooks"]],
    "empty sections": [
      makePolicy({ kprobes: [], fentries: [] }),
      ["spec: has no hooks: add kprobes, fentries, tracepoints or lsmhooks"],
    ],
    "kprobes and fentries together": [
      makePolicy({ kprobes: [makeProbe()], fentries: [makeProbe()] }),
      ["spec.fentries: a policy has one kind of probes, and spec.kprobes is there: use two policies"],
    ],
    "a namespaced policy with a host selector": [
      makePolicy({ kprobes: [makeProbe()], hostSelector: {} }, "TracingPolicyNamespaced"),
      ["spec.hostSelector: is not allowed in a TracingPolicyNamespaced: the host is in no namespace"],
    ],
    "a host selector with labels": [
      makePolicy({ kprobes: [makeProbe()], hostSelector: { matchLabels: { a: "b" } } }),
      ["spec.hostSelector: must be absent or {}: the host has no labels to select by"],
    ],
  };

  test.each(Object.entries(refused))("refuses %s", (_name, [policy, errors]) => {
    expect(errorsOf(policy)).toEqual(errors);
  });

  test("reports every error, not only the first", () => {
    const policy = makePolicy({
      kprobes: [makeProbe({ call: "x y" }), makeProbe({ args: [{ index: 9, type: "auto" }] })],
    });
    expect(errorsOf(policy).map((error) => error.split(":")[0])).toEqual([
      "spec.kprobes[0].call",
      "spec.kprobes[1].args[0].index",
      "spec.kprobes[1].args[0].type",
    ]);
  });

  test("takes no offence at what the API server adds", () => {
    const metadata = { name: "a.b", uid: "1", managedFields: [{ manager: "kubectl" }], generation: 3 };
    const status = { conditions: [{ type: "Ready" }], anything: true };
    const result = compilePolicy({ ...makeProbePolicy(), metadata, status });
    expect(result).toMatchObject({ ok: true, spec: { policy: { kind: "TracingPolicy", name: "a.b" } } });
  });

  test("the result does not share anything with the policy, and compiling twice gives the same hash", () => {
    const policy = makeProbePolicy();
    const first = compilePolicy(policy);
    expect(policy).toEqual(makeProbePolicy());
    expect(compilePolicy(policy)).toEqual(first);
  });
});

describe("calls", () => {
  const accepted: Record<string, [probe: Loose, call: string, syscall: boolean]> = {
    "a system call": [{ call: "sys_setuid", syscall: true }, "sys_setuid", true],
    "a system call without syscall, which is true by default": [
      { call: "sys_setuid", syscall: undefined },
      "sys_setuid",
      true,
    ],
    "a system call with the prefix of an architecture": [
      { call: "__x64_sys_setuid", syscall: true },
      "sys_setuid",
      true,
    ],
    "the same on ARM": [{ call: "__arm64_sys_setuid", syscall: true }, "sys_setuid", true],
    "a kernel function": [{ call: "commit_creds", syscall: false, args: [] }, "commit_creds", false],
    "the inner function of a system call": [{ call: "__sys_setuid", syscall: false }, "__sys_setuid", false],
    "a function with a compiler's suffix": [{ call: "foo.isra.0", syscall: false }, "foo.isra.0", false],
  };

  test.each(Object.entries(accepted))("takes %s", (_name, [probe, call, syscall]) => {
    expect(hooksOf(makeProbePolicy(probe))).toMatchObject([{ path: PROBE, call, syscall }]);
  });

  const refused: Record<string, [probe: Loose, error: string]> = {
    "an empty name": [
      { call: "" },
      "call: is empty: name a kernel function, sys_NAME for a system call, or list:NAME",
    ],
    "a name with a space": [
      { call: "sys setuid" },
      `call: "sys setuid" is not a function name: letters, digits and "_"`,
    ],
    "a very long name": [{ call: `sys_${"a".repeat(300)}` }, "call: is longer than 255 characters"],
    "a kernel function as system call": [
      { call: "commit_creds" },
      `call: "commit_creds" is not written like a system call (sys_NAME): set syscall: false for a kernel function`,
    ],
    "a system call without its prefix": [
      { call: "setuid" },
      `call: "setuid" is not written like a system call (sys_NAME): write sys_setuid`,
    ],
    "a system call as the C library writes its number": [
      { call: "SYS_setuid" },
      `call: "SYS_setuid" is not written like a system call (sys_NAME): write sys_setuid`,
    ],
    "a system call as kernel function": [
      { call: "sys_setuid", syscall: false },
      `call: "sys_setuid" is a system call: set syscall: true`,
    ],
    "the entry of a system call as kernel function": [
      { call: "__x64_sys_setuid", syscall: false },
      `call: "__x64_sys_setuid" is the entry of a system call: write sys_setuid and syscall: true`,
    ],
    "a system call of another ABI": [
      { call: "__ia32_sys_setuid" },
      `call: "__ia32_sys_setuid" is the entry of one ABI: write sys_setuid and syscall: true, which sees the callers of all ABIs`,
    ],
  };

  test.each(Object.entries(refused))("refuses %s", (_name, [probe, error]) => {
    expect(errorsOf(makeProbePolicy(probe))).toEqual([`${PROBE}.${error}`]);
  });

  test("warns of a name that is nearly a known one", () => {
    expect(warningsOf(makeProbePolicy({ call: "sys_setiud" }))).toEqual([
      `${PROBE}.call: "sys_setiud" is not a name that Trigon knows: did you mean "sys_setuid"? The nodes report whether it exists`,
    ]);
    expect(warningsOf(makeProbePolicy({ call: "sys_fchwon" }))).toEqual([
      `${PROBE}.call: "sys_fchwon" is not a name that Trigon knows: did you mean "sys_fchown"? The nodes report whether it exists`,
    ]);
    expect(warningsOf(makeProbePolicy({ call: "sys_setxattr" }))).toEqual([]);
  });

  test("warns of a system call's bare name as kernel function", () => {
    expect(warningsOf(makeProbePolicy({ call: "setuid", syscall: false }))).toEqual([
      `${PROBE}.call: "setuid" is the name of a system call: write sys_setuid and syscall: true, unless the kernel has a function of this name`,
    ]);
  });

  test.each(["sys_close", "sys_getpid", "sys_chmod"])("does not take %s for a misspelt name", (call) => {
    expect(warningsOf(makeProbePolicy({ call, args: [] }))).toEqual([]);
  });
});

describe("lists", () => {
  const withList = (list: Loose, probe: Loose = {}) =>
    makePolicy({ lists: [{ name: "l", ...list }], kprobes: [makeProbe({ call: "list:l", ...probe })] });

  test("make one hook per entry", () => {
    const hooks = hooksOf(withList({ type: "syscalls", values: ["sys_setuid", "__x64_sys_setgid"] }));
    expect(hooks.map(({ path, call, syscall }) => [path, call, syscall])).toEqual([
      [PROBE, "sys_setuid", true],
      [PROBE, "sys_setgid", true],
    ]);
    const functions = hooksOf(
      withList({ values: ["commit_creds", "create_user_ns"] }, { syscall: false, args: [] }),
    );
    expect(functions.map(({ call }) => call)).toEqual(["commit_creds", "create_user_ns"]);
  });

  test("a generated list has every system call, none of which a kernel must have", () => {
    const policy = withList({ type: "generated_syscalls" }, { args: [] });
    const hooks = hooksOf(policy);
    expect(hooks.length).toBeGreaterThan(350);
    expect(hooks.every(({ syscall, ignoreCallNotFound }) => syscall && ignoreCallNotFound)).toBe(true);
    expect(hooks.map(({ call }) => call)).toContain("sys_setresuid");
    expect(warningsOf(policy)).toEqual([
      `${PROBE}.call: makes ${hooks.length} hooks, one for each system call: list those that matter`,
    ]);
  });

  const refused: Record<string, [policy: Loose, errors: string[]]> = {
    "a pattern of a list that has all": [
      withList({ type: "generated_syscalls", pattern: "set*" }, { args: [] }),
      ["spec.lists[0].pattern: does not fit generated_syscalls: it has all system calls"],
    ],
    "a list that does not exist": [
      makePolicy({
        lists: [{ name: "uids", values: ["sys_setuid"] }],
        kprobes: [makeProbe({ call: "list:others" })],
      }),
      [`${PROBE}.call: list "others" does not exist: spec.lists has uids`],
    ],
    "a list in a policy without any": [
      makeProbePolicy({ call: "list:uids" }),
      [`${PROBE}.call: list "uids" does not exist: the policy has no spec.lists`],
    ],
    "an entry that is no function, at the entry": [
      withList({ values: ["sys_setuid", "9"] }),
      [`spec.lists[0].values[1]: "9" is not a function name: letters, digits and "_"`],
    ],
    "a kernel function among system calls": [
      withList({ type: "syscalls", values: ["commit_creds"] }),
      [
        `spec.lists[0].values[0]: "commit_creds" is not written like a system call (sys_NAME): write sys_NAME`,
      ],
    ],
    "system calls where a function is wanted": [
      withList({ type: "syscalls", values: ["sys_setuid"] }, { syscall: false }),
      [`${PROBE}.syscall: must be true: list "l" holds system calls`],
    ],
    "an empty list": [
      withList({ values: [] }),
      ["spec.lists[0].values: is empty: a list needs at least one value"],
    ],
    "an entry twice": [
      withList({ values: ["sys_setuid", "sys_setuid"] }),
      [`spec.lists[0].values[1]: "sys_setuid" stands in the list already, at [0]`],
    ],
    "two lists of one name": [
      makePolicy({
        lists: [
          { name: "l", values: ["sys_setuid"] },
          { name: "l", values: ["sys_setgid"] },
        ],
        kprobes: [makeProbe({ call: "list:l" })],
      }),
      [`spec.lists[1].name: "l" is the name of spec.lists[0] already`],
    ],
    "a pattern in a list that is not generated": [
      withList({ values: ["sys_setuid"], pattern: "sys_*" }),
      ["spec.lists[0].pattern: belongs to a generated list: leave it out, or list the values"],
    ],
    "an argument beyond one of the functions, once": [
      withList(
        { values: ["sys_setreuid", "sys_setuid", "sys_setgid"] },
        { args: [{ index: 1, type: "int" }] },
      ),
      [
        `${PROBE}.args[0].index: is 1, beyond the parameters of setuid(uid_t uid): the last index is 0`,
        `${PROBE}.args[0].index: is 1, beyond the parameters of setgid(gid_t gid): the last index is 0`,
      ],
    ],
    "more hooks than an agent takes": [
      withList({ values: Array.from({ length: 513 }, (_, n) => `sys_call${n}`) }),
      ["spec.kprobes: makes 513 hooks: at most 512 are allowed"],
    ],
  };

  test.each(Object.entries(refused))("refuse %s", (_name, [policy, errors]) => {
    expect(errorsOf(policy)).toEqual(errors);
  });
});

describe("arguments", () => {
  const argument = (arg: Loose, probe: Loose = {}) =>
    makeProbePolicy({
      call: "some_function",
      syscall: false,
      args: [{ index: 0, type: "int", ...arg }],
      ...probe,
    });

  test("keep index, type and label, in the order of the policy", () => {
    const args = [
      { index: 2, type: "capability", label: "cap" },
      { index: 2, type: "int" },
      { index: 0, type: "nop", label: "" },
    ];
    const [hook] = hooksOf(makeProbePolicy({ call: "cap_capable", syscall: false, args }));
    expect(hook?.args).toEqual([
      { index: 2, type: "capability", label: "cap" },
      { index: 2, type: "int" },
      { index: 0, type: "nop" },
    ]);
  });

  const refused: Record<string, [policy: Loose, error: string]> = {
    "an index above 4": [argument({ index: 5 }), "args[0].index: is 5, out of bounds: 0 to 4"],
    "a negative index": [argument({ index: -1 }), "args[0].index: must be 0 or more, is -1"],
    "an index beyond a known system call": [
      makeProbePolicy({ call: "sys_setresuid", args: [{ index: 3, type: "int" }] }),
      "args[0].index: is 3, beyond the parameters of setresuid(uid_t ruid, uid_t euid, uid_t suid): the last index is 2",
    ],
    "an argument of a system call that has none": [
      makeProbePolicy({ call: "sys_setsid" }),
      "args[0].index: is 0, beyond the parameters of setsid(): it has no parameters",
    ],
    "an index beyond a known function": [
      makeProbePolicy({ call: "commit_creds", syscall: false, args: [{ index: 1, type: "cred" }] }),
      "args[0].index: is 1, beyond the parameters of int commit_creds(struct cred *new): the last index is 0",
    ],
    "a kernel structure in a system call": [
      makeProbePolicy({ args: [{ index: 0, type: "cred" }] }),
      "args[0].type: cred is a structure of the kernel: no system call takes one",
    ],
    "six arguments": [
      argument({}, { args: Array.from({ length: 6 }, () => ({ index: 0, type: "int" })) }),
      "args: has 6 entries: at most 5 can be read",
    ],
    "the type auto": [
      argument({ type: "auto" }),
      "args[0].type: auto does not fit a kernel function: name the type, for example int",
    ],
    "no type, which is auto": [
      argument({ type: undefined }),
      "args[0].type: auto does not fit a kernel function: name the type, for example int",
    ],
    "a type of tracepoints": [
      argument({ type: "syscall64" }),
      "args[0].type: syscall64 fits tracepoints only",
    ],
    "a file in a system call": [
      makeProbePolicy({ args: [{ index: 0, type: "file" }] }),
      "args[0].type: file is a structure of the kernel: no system call takes one",
    ],
    "the kernel's copy of a file name in a system call": [
      makeProbePolicy({ args: [{ index: 0, type: "filename" }] }),
      "args[0].type: filename is a structure of the kernel: write string",
    ],
    "a type that is outside of the subject": [
      argument({ type: "skb" }),
      "args[0].type: the argument type skb is not supported: Trigon watches credentials",
    ],
    "the type of a field of a trace event": [
      argument({ type: "data_loc" }),
      "args[0].type: the argument type data_loc is not supported: write string, which reads such fields too",
    ],
    "a source": [
      argument({ source: "current_task" }),
      "args[0].source: belongs to entries of data: an argument has no source",
    ],
  };

  test.each(Object.entries(refused))("refuse %s", (_name, [policy, error]) => {
    expect(errorsOf(policy)).toEqual([`${PROBE}.${error}`]);
  });
});

describe("messages, tags and labels", () => {
  test("stand in the hook spec", () => {
    const [hook] = hooksOf(
      makeProbePolicy({ message: "who?", tags: ["aa", "bb"], selectors: [{ label: "s" }] }),
    );
    expect(hook).toMatchObject({
      message: "who?",
      tags: ["aa", "bb"],
      selectors: [{ label: "s", filters: [], actions: [] }],
    });
  });

  test("an empty message is none", () => {
    expect(hooksOf(makeProbePolicy({ message: "", tags: [] }))[0]).not.toHaveProperty("message");
  });

  test("a long message is cut at whole characters, with a warning", () => {
    const policy = makeProbePolicy({ message: "é😀".repeat(200) });
    expect(warningsOf(policy)).toEqual([`${PROBE}.message: has 400 characters: it is cut to 256`]);
    const result = compilePolicy(policy);
    expect(result.ok && result.spec.hooks[0]?.message).toBe("é😀".repeat(128));
    expect(result.ok && parseHookSpec(encodeHookSpec(result.spec)).ok).toBe(true);
  });

  const refused: Record<string, [probe: Loose, error: string]> = {
    "a message of one character": [{ message: "x" }, "message: must have at least 2 characters"],
    "a tag of one character": [{ tags: ["ok", "x"] }, "tags[1]: must have 2 to 128 characters, has 1"],
    "a tag that is too long": [
      { tags: ["x".repeat(129)] },
      "tags[0]: must have 2 to 128 characters, has 129",
    ],
    "17 tags": [{ tags: Array(17).fill("tag") }, "tags: has 17 entries, at most 16 are allowed"],
    "a long label of an argument": [
      { args: [{ index: 0, type: "int", label: "x".repeat(257) }] },
      "args[0].label: is longer than 256 characters",
    ],
    "a long label of a selector": [
      { selectors: [{ label: "x".repeat(257) }] },
      "selectors[0].label: is longer than 256 characters",
    ],
    "six selectors": [{ selectors: Array(6).fill({}) }, "selectors: has 6 entries: at most 5 are allowed"],
  };

  test.each(Object.entries(refused))("refuse %s", (_name, [probe, error]) => {
    expect(errorsOf(makeProbePolicy(probe))).toEqual([`${PROBE}.${error}`]);
  });
});

describe("options", () => {
  const withOptions = (...options: Loose[]) => makePolicy({ kprobes: [makeProbe()], options });

  test.each([
    ["disable-kprobe-multi", "1"],
    ["disable-kprobe-multi", "False"],
    ["disable-uprobe-multi", "true"],
  ])("takes %s: %s, which changes nothing", (name, value) => {
    expect(compilePolicy(withOptions({ name, value }))).toEqual(compilePolicy(withOptions()));
  });

  test.each([
    ["true", true],
    ["false", undefined],
  ])("credential-drift: %s is for every hook", (value, drift) => {
    const result = compilePolicy(withOptions({ name: "credential-drift", value }));
    expect(result.ok && result.spec.hooks.map((hook) => hook.drift)).toEqual([drift]);
  });

  test.each(["enforce", "monitor"])("policy-mode: %s stands in the spec", (value) => {
    expect(compilePolicy(withOptions({ name: "policy-mode", value }))).toMatchObject({
      ok: true,
      spec: { mode: value },
      warnings: [],
    });
    expect(compilePolicy(withOptions())).not.toHaveProperty("spec.mode");
  });

  test.each(["fmod-ret", "override-return"])("override-method: %s is taken with a warning", (value) => {
    const policy = withOptions({ name: "override-method", value });
    expect(errorsOf(policy)).toEqual([]);
    expect(warningsOf(policy)).toEqual([
      "spec.options[0].value: has no effect: each node takes the method that fits the hook",
    ]);
  });

  const refused: Record<string, [options: Loose[], error: string]> = {
    "an unknown one": [
      [{ name: "colour", value: "red" }],
      `spec.options[0].name: unknown option "colour": known are credential-drift, disable-kprobe-multi, disable-uprobe-multi, override-method, policy-mode`,
    ],
    "a misspelt one": [
      [{ name: "policymode", value: "enforce" }],
      `spec.options[0].name: unknown option "policymode": did you mean "policy-mode"?`,
    ],
    "a name of every object": [
      [{ name: "constructor" }],
      `spec.options[0].name: unknown option "constructor": known are credential-drift, disable-kprobe-multi, disable-uprobe-multi, override-method, policy-mode`,
    ],
    "a value that does not fit": [
      [{ name: "policy-mode", value: "on" }],
      `spec.options[0].value: "on" does not fit policy-mode: must be enforce or monitor or count`,
    ],
    "a method that there is not": [
      [{ name: "override-method", value: "kill" }],
      `spec.options[0].value: "kill" does not fit override-method: must be fmod-ret or override-return`,
    ],
    "no value": [
      [{ name: "disable-kprobe-multi" }],
      `spec.options[0].value: "" does not fit disable-kprobe-multi: must be true or false`,
    ],
    "one twice": [
      [
        { name: "policy-mode", value: "enforce" },
        { name: "policy-mode", value: "monitor" },
      ],
      `spec.options[1].name: "policy-mode" is set a second time`,
    ],
  };

  test.each(Object.entries(refused))("refuses %s", (_name, [options, error]) => {
    expect(errorsOf(withOptions(...options))).toEqual([error]);
  });
});

describe("node selectors", () => {
  const withSelector = (nodeSelector: unknown) => makePolicy({ kprobes: [makeProbe()], nodeSelector });

  test("pass through", () => {
    const selector = {
      matchLabels: { "kubernetes.io/os": "linux", zone: "" },
      matchExpressions: [
        { key: "a.b/c", operator: "NotIn", values: ["x"] },
        { key: "d", operator: "Exists" },
      ],
    };
    expect(compilePolicy(withSelector(selector))).toMatchObject({
      ok: true,
      spec: { nodeSelector: selector },
    });
  });

  const at = "spec.nodeSelector.matchExpressions[0]";
  const refused: Record<string, [selector: unknown, error: string]> = {
    "In without values": [
      { matchExpressions: [{ key: "a", operator: "In" }] },
      `${at}.values: is empty: In needs at least one value`,
    ],
    "Exists with values": [
      { matchExpressions: [{ key: "a", operator: "Exists", values: ["b"] }] },
      `${at}.values: must be empty for Exists`,
    ],
    "DoesNotExist with values": [
      { matchExpressions: [{ key: "a", operator: "DoesNotExist", values: ["b"] }] },
      `${at}.values: must be empty for DoesNotExist`,
    ],
    "a key that is no label": [
      { matchExpressions: [{ key: "a b", operator: "Exists" }] },
      `${at}.key: "a b" is not a label: NAME or DOMAIN/NAME`,
    ],
    "a label key that is none": [
      { matchLabels: { "a/b/c": "d" } },
      `spec.nodeSelector.matchLabels["a/b/c"]: "a/b/c" is not a label: NAME or DOMAIN/NAME`,
    ],
    "a label value that is none": [
      { matchLabels: { "a.b": "c d" } },
      `spec.nodeSelector.matchLabels["a.b"]: "c d" is not a label value: letters, digits, "-", "_" and ".", a letter or digit at both ends`,
    ],
    "a value that is no label value": [
      { matchExpressions: [{ key: "a", operator: "In", values: ["c d"] }] },
      `${at}.values[0]: "c d" is not a label value`,
    ],
  };

  test.each(Object.entries(refused))("refuse %s", (_name, [selector, error]) => {
    expect(errorsOf(withSelector(selector))).toEqual([error]);
  });
});

describe("warnings", () => {
  const creds = (more: Loose) => makeProbePolicy({ call: "commit_creds", syscall: false, args: [], ...more });
  const noisy = `${PROBE}.call: commit_creds runs at every exec, also when no credential changes: add matchCredChanges, or a rateLimit to Post`;
  const limited = {
    matchPIDs: [{ operator: "In", values: [1] }],
    matchActions: [{ action: "Post", rateLimit: "1m" }],
  };
  const gone =
    "does not exist in kernels from 6.14 on: there the policy runs without this hook, and its status reports it";

  const cases: Record<string, [policy: Loose, warnings: string[]]> = {
    "commit_creds without a selector is noisy": [creds({}), [noisy]],
    "commit_creds is noisy when one selector has no limit": [creds({ selectors: [limited, {}] }), [noisy]],
    "commit_creds with limits is not": [
      creds({ selectors: [limited, { matchActions: [{ action: "NoPost" }] }] }),
      [],
    ],
    "commit_creds that posts changes only is not": [
      creds({ selectors: [{ matchCredChanges: [{ fields: ["any"], change: "Raised" }] }] }),
      [],
    ],
    "a tracepoint of every system call": [
      makePolicy({ tracepoints: [{ subsystem: "raw_syscalls", event: "sys_enter" }] }),
      [
        "spec.tracepoints[0].event: raw_syscalls/sys_enter costs time in every system call of the node: hook the system calls that matter",
      ],
    ],
    "a function that newer kernels do not have": [
      creds({ call: "override_creds" }),
      [`${PROBE}.call: override_creds ${gone}`],
    ],
    "the same where it may be missing": [
      creds({ call: "override_creds", ignore: { callNotFound: true } }),
      [],
    ],
    "an argument that is read twice": [
      makeProbePolicy({ args: Array(2).fill({ index: 0, type: "int" }) }),
      [`${PROBE}.args[1]: is the same as args[0]`],
    ],
    "but not one that is read as two types": [
      makeProbePolicy({ args: ["int", "uint32"].map((type) => ({ index: 0, type })) }),
      [],
    ],
    "a list that claims to be validated": [
      makePolicy({
        lists: [{ name: "l", values: ["a"], validated: true }],
        kprobes: [makeProbe({ call: "list:l", syscall: false })],
      }),
      ["spec.lists[0].validated: has no effect: every node checks every entry"],
    ],
  };

  test.each(Object.entries(cases))("%s", (_name, [policy, warnings]) => {
    expect(compilePolicy(policy).ok).toBe(true);
    expect(warningsOf(policy)).toEqual(warnings);
  });
});
