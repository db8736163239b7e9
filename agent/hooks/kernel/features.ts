/** What the running kernel lets the engine do; a feature that is missing has a reason. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { KernelBtf } from "../../bpf/binding.ts";
import type { Preemption } from "./preemption.ts";

/** Names of the features, as they stand in a TracingNode's status. */
export const FEATURES = [
  "btf",
  "ringBuffer",
  "currentTaskBtf",
  "bpfLoop",
  "kprobeMulti",
  "bpfLsm",
  "fentry",
  "kprobe",
] as const;

/** Name of a feature. */
export type Feature = (typeof FEATURES)[number];

/** The kernel, feature by feature. */
export type KernelFeatures = Readonly<Record<Feature, boolean>> & {
  release: string;
  /** As `uname -m` says. */
  architecture: string;
  preemption: Preemption;
  /** Why what is missing is missing. */
  reasons: Readonly<Partial<Record<Feature, string>>>;
};

/** What tells about features without loading anything. */
export interface FeatureSources {
  release: string;
  architecture: string;
  btf: Pick<KernelBtf, "enumValue" | "hasStruct">;
  preemption: Preemption;
  /** /sys/kernel/security, where `lsm` and `lockdown` are. */
  securityfs: string;
}

/** Tries what only a try can tell; returns the reason of a refusal. */
export type Probe = (kind: "fentry" | "kprobe") => string | undefined;

/** Finds out what there is, without failing. */
export function detectFeatures(sources: FeatureSources, probe: Probe): KernelFeatures {
  const reasons: Partial<Record<Feature, string>> = {};
  const check = (feature: Feature, reason: string | undefined): boolean => {
    if (reason !== undefined) reasons[feature] = reason;
    return reason === undefined;
  };
  const helper = (name: string, since: string) =>
    sources.btf.enumValue("bpf_func_id", `BPF_FUNC_${name}`) === undefined
      ? `kernel ${sources.release} is older than ${since}`
      : undefined;
  return {
    release: sources.release,
    architecture: sources.architecture,
    btf: true,
    ringBuffer: check("ringBuffer", helper("ringbuf_output", "5.8")),
    currentTaskBtf: check("currentTaskBtf", helper("get_current_task_btf", "5.11")),
    bpfLoop: check("bpfLoop", helper("loop", "5.17")),
    kprobeMulti: check(
      "kprobeMulti",
      sources.btf.hasStruct("bpf_kprobe_multi_link")
        ? undefined
        : "the kernel is older than 5.18 or built without CONFIG_FPROBE",
    ),
    bpfLsm: check("bpfLsm", lsmRefusal(sources.securityfs)),
    fentry: check("fentry", probe("fentry")),
    kprobe: check("kprobe", probe("kprobe")),
    preemption: sources.preemption,
    reasons,
  };
}

/** The features alone, as a TracingNode's status has them. */
export function featureFlags(features: KernelFeatures): Record<Feature, boolean> {
  return Object.fromEntries(FEATURES.map((name) => [name, features[name]])) as Record<Feature, boolean>;
}

/** LSM links attach on kernels where BPF is no active LSM, and then nothing fires: only this file tells. */
function lsmRefusal(securityfs: string): string | undefined {
  const path = join(securityfs, "lsm");
  let active: string;
  try {
    active = readFileSync(path, "utf8").trim();
  } catch (cause) {
    return `read ${path}: ${(cause as NodeJS.ErrnoException).code} (is securityfs mounted?)`;
  }
  return active.split(",").includes("bpf") ? undefined : `bpf is not among the active LSMs (${active})`;
}
