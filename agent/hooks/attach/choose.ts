/** Decides in which ways to try to attach a hook, in which order, and why the others are left out. Pure. */
import type { AttachKind } from "../../../crds/conditions.ts";
import { type HookDef, overrides } from "../../../crds/hook-spec.ts";
import type { KernelFeatures } from "../kernel/features.ts";
import { preemptsPrograms } from "../kernel/preemption.ts";
import { readsPointerAsInteger } from "../kernel/prototype.ts";
import type { Target } from "../targets/targets.ts";

/** The kinds that this engine has programs for, named after the program that runs at entry. */
export type EntryKind = Extract<
  AttachKind,
  "fentry" | "kprobe" | "fmod_ret" | "lsm" | "tp_btf" | "raw_tracepoint" | "tracepoint"
>;

/** The kinds to try, in order, and the refused ones. */
export interface Choice {
  candidates: EntryKind[];
  /** `preferred`: it would have been tried before every candidate. */
  refusals: { kind: EntryKind; reason: string; preferred: boolean }[];
}

type Features = Pick<KernelFeatures, "fentry" | "kprobe" | "bpfLsm" | "preemption" | "reasons">;
/** `drawback`: a message for the hook's status about a kind that is tried all the same. */
type Consider = (kind: EntryKind, refusal: string | undefined, drawback?: string) => void;

/** A tracing program finds the return value behind the parameters, up to this number of them. */
const MAX_PARAMETERS = 6;

/** Chooses the kinds for a hook on a kernel with these features. */
export function chooseAttach(def: HookDef, target: Omit<Target, "def">, features: Features): Choice {
  const choice: Choice = { candidates: [], refusals: [] };
  const consider: Consider = (kind, refusal, drawback) => {
    const preferred = choice.candidates.length === 0;
    if (refusal !== undefined) choice.refusals.push({ kind, reason: refusal, preferred });
    else choice.candidates.push(kind);
    if (refusal === undefined && drawback !== undefined)
      choice.refusals.push({ kind, reason: drawback, preferred: true });
  };
  if (def.section === "lsmhooks") {
    consider("lsm", lsmRefusal(def, target, features));
  } else if (def.section === "tracepoints") {
    considerTracepoint(def, target, consider);
  } else if (overrides(def)) {
    considerOverride(def, target, features, consider);
  } else {
    considerFunction(def, target, features, consider);
    if (def.syscall && def.section === "kprobes") consider("tracepoint", tracepointRefusal(def, target));
  }
  return choice;
}

/**
 * fentry comes first: a trampoline costs a third of a breakpoint, and lets programs follow pointers without helpers.
 * But on each CPU the kernel runs a tracing program only once at a time. While a task that was preempted inside the
 * program waits, the hook misses the calls of other tasks on that CPU. Kprobes run with preemption off.
 */
function considerFunction(
  def: HookDef,
  target: Omit<Target, "def">,
  features: Features,
  consider: Consider,
): void {
  const fentry = fentryRefusal(def, target, features);
  const kprobe = kprobeRefusal(def, features);
  const drawback = whenPreempted(features, "hides the calls of others");
  const isKprobeFirst = drawback !== undefined && fentry === undefined && kprobe === undefined;
  if (isKprobeFirst) consider("kprobe", kprobe);
  consider("fentry", fentry, drawback);
  if (!isKprobeFirst) consider("kprobe", kprobe);
}

function whenPreempted({ preemption }: Features, effect: string): string | undefined {
  return preemptsPrograms(preemption)
    ? `a task that is preempted in it ${effect} (preemption: ${preemption})`
    : undefined;
}

const NO_OVERRIDE = "a tracepoint has no return value to override";

function considerTracepoint(def: HookDef, target: Omit<Target, "def">, consider: Consider): void {
  const override = overrides(def) ? NO_OVERRIDE : undefined;
  if (!def.tracepoint?.raw) {
    consider("tracepoint", override);
    return;
  }
  consider("tp_btf", override ?? typedRefusal(def, target));
  consider("raw_tracepoint", override);
}

/** Security functions are overridden by fmod_ret, system calls by a kprobe with the kernel's error injection. */
function considerOverride(
  def: HookDef,
  target: Omit<Target, "def">,
  features: Features,
  consider: Consider,
): void {
  const isSecurity = target.name.startsWith("security_");
  consider("fentry", "it cannot override");
  if (!isSecurity) consider("kprobe", kprobeRefusal(def, features));
  const voidRefusal = target.proto?.returnType === "void" ? `${target.name} returns void` : undefined;
  const gap = whenPreempted(features, "lets the calls of others pass, unlike an LSM hook");
  consider("fmod_ret", voidRefusal ?? fentryRefusal(def, target, features), isSecurity ? gap : undefined);
  if (def.syscall) consider("tracepoint", NO_OVERRIDE);
}

function lsmRefusal(def: HookDef, target: Omit<Target, "def">, features: Features): string | undefined {
  if (!features.bpfLsm) return features.reasons.bpfLsm ?? "not supported";
  if (overrides(def) && target.proto?.returnType === "void") return `${target.name} returns void`;
  return typedRefusal(def, target);
}

function fentryRefusal(
  def: HookDef,
  target: Omit<Target, "def">,
  features: Pick<KernelFeatures, "fentry" | "reasons">,
): string | undefined {
  if (!features.fentry) return features.reasons.fentry ?? "not supported";
  if (readsRegisters(def) && !def.syscall) return "only a kprobe has the registers of a function";
  const refusal = typedRefusal(def, target);
  if (refusal !== undefined) return refusal;
  if (def.returnArg && (target.proto?.params.length ?? 0) > MAX_PARAMETERS) {
    return `${target.name} has more than ${MAX_PARAMETERS} parameters`;
  }
  return undefined;
}

function typedRefusal(def: HookDef, target: Omit<Target, "def">): string | undefined {
  if (!target.proto) return `kernel BTF does not describe ${target.name}`;
  if (!def.syscall && readsPointerAsInteger(def.args, target.proto)) {
    return "it would see a pointer where the policy reads a number";
  }
  return undefined;
}

function kprobeRefusal(
  def: HookDef,
  features: Pick<KernelFeatures, "kprobe" | "reasons">,
): string | undefined {
  if (def.section === "fentries") return "the policy asks for fentry";
  if (!features.kprobe) return features.reasons.kprobe ?? "not supported";
  return undefined;
}

function readsRegisters(def: HookDef): boolean {
  return def.args.some(({ source }) => source === "pt_regs");
}

function tracepointRefusal(def: HookDef, target: Omit<Target, "def">): string | undefined {
  if (readsRegisters(def)) return "a trace event has no registers";
  return target.event ? undefined : "the kernel has no trace event for it, or tracefs cannot be read";
}
