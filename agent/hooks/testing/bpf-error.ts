import type { BpfError } from "../../bpf/binding.ts";

/** An error as the addon throws it; by default a permanent EINVAL when a program is loaded. */
export function makeBpfError(facts: Partial<BpfError> = {}): BpfError {
  const { message, code = "EINVAL", step = "load program", subject = "hook_fentry" } = facts;
  return Object.assign(new Error(message ?? `${step} ${subject}: ${code}`), {
    errno: 22,
    transient: false,
    ...facts,
    name: "BpfError",
    code,
    step,
    subject,
  });
}
