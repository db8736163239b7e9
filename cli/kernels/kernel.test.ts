import { describe, expect, test } from "vitest";
import { compilePolicy } from "../../policy/compile.ts";
import { KERNEL_CHOICES, LATEST } from "./choices.ts";
import { RecordedKernel } from "./kernel.ts";
import { KERNELS } from "./names.gen.ts";

function missing(choice: string, spec: object) {
  const compiled = compilePolicy({
    apiVersion: "cilium.io/v1alpha1",
    kind: "TracingPolicy",
    metadata: { name: "p" },
    spec,
  });
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.errors));
  return new RecordedKernel(choice).missing(compiled.spec);
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
    expect(hook).toMatchObject({ path: "spec.kprobes[0]", isOptional: false });
    expect(hook?.message).toMatch(/^Linux \d+\.\d+ has no function comit_creds in its BTF: /);
    expect(more).toEqual([]);
  });

  test("a hook that may be missing says so", () => {
    const [hook] = missing(choice, kprobe("comit_creds", { ignore: { callNotFound: true } }));
    expect(hook?.isOptional).toBe(true);
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
