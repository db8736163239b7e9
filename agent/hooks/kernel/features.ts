/** The features of the running kernel that the engine uses, with a reason for each missing one. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { KernelBtf } from "../../bpf/binding.ts";
import type { Preemption } from "./preemption.ts";

/** Names of the features, as in a TracingNode's status. */
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

/** The running kernel and its features. */
export type KernelFeatures = Readonly<Record<Feature, boolean>> & {
  release: string;
  /** The output of `uname -m`. */
  architecture: string;
  preemption: Preemption;
  /** Why each missing feature is missing. */
  reasons: Readonly<Partial<Record<Feature, string>>>;
};

/** Where features can be read without loading a program. */
export interface FeatureSources {
  release: string;
  architecture: string;
  btf: Pick<KernelBtf, "enumValue" | "hasStruct">;
  preemption: Preemption;
  /** The directory with `lsm` and `lockdown`; usually /sys/kernel/security. */
  securityfs: string;
}

/** Tries to attach a program of this kind; returns why the kernel refuses it, undefined if it does not. */
export type TryAttach = (kind: "fentry" | "kprobe") => string | undefined;

/** Detects the features; never throws. */
export function detectFeatures(sources: FeatureSources, tryAttach: TryAttach): KernelFeatures {
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
    fentry: check("fentry", tryAttach("fentry")),
    kprobe: check("kprobe", tryAttach("kprobe")),
    preemption: sources.preemption,
    reasons,
  };
}

/** The features alone, as in a TracingNode's status. */
export function featureFlags(features: KernelFeatures): Record<Feature, boolean> {
  return Object.fromEntries(FEATURES.map((name) => [name, features[name]])) as Record<Feature, boolean>;
}

/** Where BPF is not an active LSM, LSM programs attach and never run. Only this file shows whether it is active. */
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
