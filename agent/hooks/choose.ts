/** Which ways of attaching a hook are tried, in which order, and why not the others. Pure. */
import type { AttachKind } from "../../crds/conditions.ts";
import type { HookDef } from "../../crds/hook-spec.ts";
import type { KernelFeatures } from "./features.ts";
import { readsPointerAsInteger } from "./prototype.ts";
import type { ResolvedFunction } from "./symbols.ts";

/** Ways of attaching that this engine has programs for. */
export type EntryKind = Extract<AttachKind, "fentry" | "kprobe">;

/** What to try first, second, ... and what was left out. */
export interface Choice {
  candidates: EntryKind[];
  refusals: { kind: EntryKind; reason: string }[];
}

/** fentry first: a trampoline costs a third of a breakpoint, and lets programs follow pointers without helpers. */
export function chooseAttach(
  def: HookDef,
  target: ResolvedFunction,
  features: Pick<KernelFeatures, "fentry" | "kprobe" | "reasons">,
): Choice {
  const choice: Choice = { candidates: [], refusals: [] };
  const consider = (kind: EntryKind, refusal: string | undefined) => {
    if (refusal === undefined) choice.candidates.push(kind);
    else choice.refusals.push({ kind, reason: refusal });
  };
  consider("fentry", fentryRefusal(def, target, features));
  consider("kprobe", kprobeRefusal(def, features));
  return choice;
}

function fentryRefusal(
  def: HookDef,
  target: ResolvedFunction,
  features: Pick<KernelFeatures, "fentry" | "reasons">,
): string | undefined {
  if (!features.fentry) return features.reasons.fentry ?? "not supported";
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
