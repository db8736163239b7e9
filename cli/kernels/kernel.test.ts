import { describe, expect, test } from "vitest";
import { compilePolicy } from "../../policy/compile.ts";
import { KERNEL_CHOICES, LATEST } from "./choices.ts";
import { ANY_KERNEL, RecordedKernel } from "./kernel.ts";
import { KERNELS } from "./names.gen.ts";

const missing = (choice: string, spec: object) => new RecordedKernel(choice).missing(compile(spec));

function compile(spec: object) {
  const compiled = compilePolicy({
    apiVersion: "cilium.io/v1alpha1",
    kind: "TracingPolicy",
    metadata: { name: "p" },
    spec,
  });
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.errors));
  return compiled.spec;
}

const kprobe = (call: string, changes: object = {}) => ({ kprobes: [{ call, syscall: false, ...changes }] });

test("the kernels are those whose names are recorded", () => {
  expect(KERNEL_CHOICES).toEqual([...KERNELS.slice(0, -1), LATEST]);
});

describe.each(KERNEL_CHOICES)("on %s", (choice) => {
  test.each(["commit_creds", "cap_capable", "security_capset", "__sys_setuid"])("%s is there", (call) => {
    expect(missing(choice, kprobe(call))).toEqual([]);
  });

  test("system calls are there, by their own names", () => {
    expect(missing(choice, { kprobes: [{ call: "sys_setuid", syscall: true }] })).toEqual([]);
    expect(missing(choice, { kprobes: [{ call: "__x64_sys_setuid", syscall: true }] })).toEqual([]);
  });

  test("what no kernel has is missing, with its place", () => {
    const [hook, ...more] = missing(choice, kprobe("comit_creds"));
    expect(hook).toMatchObject({ path: "spec.kprobes[0]", level: "error" });
    expect(hook?.message).toMatch(/^Linux \d+\.\d+ has no function comit_creds in BTF: /);
    expect(more).toEqual([]);
  });

  test("a hook that may be missing says so", () => {
    const [hook] = missing(choice, kprobe("comit_creds", { ignore: { callNotFound: true } }));
    expect(hook?.level).toBe("warning");
  });
});

test.each([
  ["5.10", ["Linux 5.10 of Debian overrides no system calls: it is built without error injection"]],
  ["6.12", ["Linux 6.12 of Debian overrides no system calls: it is built without error injection"]],
  [LATEST, []],
])("an Override of a system call on %s", (choice, messages) => {
  const selectors = [{ matchActions: [{ action: "Override", argError: -1 }] }];
  const hooks = missing(choice, { kprobes: [{ call: "sys_setns", syscall: true, selectors }] });
  expect(hooks.map(({ message }) => message)).toEqual(messages);
  expect(missing(choice, kprobe("security_capset", { selectors }))).toEqual([]);
});

test.each([
  ["5.10", true],
  ["6.1", false],
  ["latest", false],
])("the LSM hook userns_create on %s: missing %s", (choice, isMissing) => {
  const hooks = missing(choice, { lsmhooks: [{ hook: "userns_create" }] });
  expect(hooks.map(({ message }) => message)).toEqual(
    isMissing ? ["Linux 5.10 has no LSM hook userns_create"] : [],
  );
});

test.each([
  ["6.12", false],
  ["latest", true],
])("override_creds, which became inline in 6.14, on %s: missing %s", (choice, isMissing) => {
  expect(missing(choice, kprobe("override_creds")).length > 0).toBe(isMissing);
});

test("tracepoints are found, those of system calls are not looked for", () => {
  const tracepoints = (subsystem: string, event: string) => ({ tracepoints: [{ subsystem, event }] });
  expect(missing("6.1", tracepoints("sched", "sched_process_exec"))).toEqual([]);
  expect(missing("6.1", tracepoints("syscalls", "sys_enter_setuid"))).toEqual([]);
  expect(missing("6.1", tracepoints("sched", "no_such_event"))[0]?.message).toBe(
    "Linux 6.1 has no tracepoint sched/no_such_event of its own",
  );
});

describe("where no kernel is named", () => {
  const tracepoint = (event: string) => ({ tracepoints: [{ subsystem: "sched", event }] });
  const said = (spec: object) => ANY_KERNEL.missing(compile(spec));

  test.each([
    [
      "a function that none has",
      kprobe("install_exec_creds"),
      /^Linux 5\.10, .* have no function install_exec_creds in BTF: /,
    ],
    [
      "a tracepoint that none has",
      tracepoint("sched_process_exce"),
      /^Linux 5\.10, .* have no tracepoint sched\/sched_process_exce /,
    ],
    [
      "a function that newer ones have",
      kprobe("bpf_token_create"),
      /^Linux 5\.10 and 6\.1 have no function bpf_token_create /,
    ],
  ])("%s is warned of", (_what, spec, message) => {
    expect(said(spec)).toEqual([
      {
        path: expect.stringContaining("[0]") as string,
        message: expect.stringMatching(message) as string,
        level: "warning",
      },
    ]);
  });

  test.each([
    ["all have", kprobe("vfs_read")],
    ["the compiler warns of itself", kprobe("override_creds")],
    ["may be missing", kprobe("install_exec_creds", { ignore: { callNotFound: true } })],
    [
      "is the tracepoint of a system call",
      { tracepoints: [{ subsystem: "syscalls", event: "sys_enter_setuid" }] },
    ],
    ["is a tracepoint that all have", tracepoint("sched_process_exec")],
    ["is a system call", { kprobes: [{ call: "sys_setuid", syscall: true }] }],
  ])("nothing is said of what %s", (_what, spec) => {
    expect(said(spec)).toEqual([]);
  });
});
