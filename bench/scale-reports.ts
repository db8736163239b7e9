/** What simulated agents report, as agents make it. */
import { makeTracingNodeStatus, type TracingNodeStatus } from "../agent/status/tracing-node.ts";
import { SET_ID_CALLS } from "../policy/testing/set-id-calls.ts";

/** A spec as the agents see it. */
export interface Spec {
  /** Of its policy. */
  name: string;
  hash: string;
}

const KERNEL = {
  release: "6.1.0-29-cloud-amd64",
  architecture: "x86_64",
  features: {
    btf: true,
    ringBuffer: true,
    currentTaskBtf: true,
    bpfLoop: true,
    kprobeMulti: false,
    bpfLsm: true,
    fentry: true,
    kprobe: true,
  },
  reasons: { kprobeMulti: "the kernel is older than 5.18 or built without CONFIG_FPROBE" },
};

/** The report of a node that runs these specs, or on which all of them fail for this reason. */
export function makeReport(
  specs: readonly Spec[],
  { agentVersion = "0.1.0", failure }: { agentVersion?: string; failure?: string | undefined } = {},
): TracingNodeStatus {
  const failed = { state: "Failed" as const, reason: "AttachFailed" as const, message: failure ?? "" };
  const hooks = SET_ID_CALLS.map((call, i) => ({
    path: `spec.kprobes[${i}]`,
    call: `sys_${call}`,
    function: `__x64_sys_${call}`,
    ...(failure === undefined ? { state: "Attached" as const, attach: "fentry" as const } : failed),
  }));
  const outcomes = specs.map(({ name, hash }) => ({
    ref: { kind: "TracingPolicy" as const, name },
    specHash: hash,
    hooks,
    ...(failure === undefined ? { state: "Attached" as const, attachedHash: hash } : failed),
  }));
  return makeTracingNodeStatus({ agentVersion, bootTime: "2026-11-24T20:00:00Z", kernel: KERNEL }, outcomes);
}
