import { expect, test } from "vitest";
import { HookError, type Refusal, refusalsOf } from "./hook-error.ts";
import { makeBpfError } from "./testing/bpf-error.ts";

const shortage: Refusal = { code: "ENOMEM", step: "create map", subject: "hook_calls", transient: true };
const refusal: Refusal = { code: "EPERM", step: "attach kprobe", subject: "do_exit", transient: false };
const thrown = makeBpfError({ ...shortage, errno: 12 });

const cases: Record<string, { error: unknown; refusals: Refusal[] }> = {
  "of the addon: errno, step, subject and whether it may pass": { error: thrown, refusals: [shortage] },
  "behind an error that explains it: the same": {
    error: new HookError("KernelUnsupported", "no types of module x", { cause: thrown }),
    refusals: [shortage],
  },
  "behind any error": { error: new Error("attach", { cause: thrown }), refusals: [shortage] },
  "of several ways to attach: all of them": {
    error: new HookError("AttachFailed", "no way", { refusals: [refusal, shortage] }),
    refusals: [refusal, shortage],
  },
  "a message alone refuses nothing": { error: new Error("create map x: ENOMEM"), refusals: [] },
  "what is no error": { error: "ENOMEM", refusals: [] },
};

test.each(Object.entries(cases))("refusals %s", (_name, { error, refusals }) => {
  expect(refusalsOf(error)).toEqual(refusals);
});
