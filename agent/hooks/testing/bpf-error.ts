import type { BpfError } from "../../bpf/binding.ts";

/** What the addon throws; a final EINVAL of loading a program, unless told otherwise. */
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
