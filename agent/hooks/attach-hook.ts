/** From a hook's definition to a program that runs, or to a status that says why not. */
import { randomBytes } from "node:crypto";
import { arch } from "node:os";
import type { AttachKind, HookReason, HookState } from "../../crds/conditions.ts";
import type { HookDef } from "../../crds/hook-spec.ts";
import { errorText } from "../../lib/logger.ts";
import type { FuncProto } from "../bpf/binding.ts";
import { type AttachContext, type Attachment, attachEntry, failureReason } from "./attach-entry.ts";
import { type Choice, chooseAttach } from "./choose.ts";
import { type ConfigImage, encodeConfig } from "./config-image.ts";
import type { KernelFeatures } from "./features.ts";
import { HookError } from "./hook-error.ts";
import { hostNamespace } from "./namespaces.ts";
import { checkArguments } from "./prototype.ts";
import type { KernelSymbols, ResolvedFunction } from "./symbols.ts";

/** How a hook stands: attached and how, or why not. */
export interface HookStatus {
  path: string;
  call: string;
  state: HookState;
  attach?: AttachKind;
  /** The function that was resolved: `__x64_sys_setuid`. */
  function?: string;
  reason?: HookReason;
  /** Why it is not attached, or why not by fentry. */
  message?: string;
}

/** What attaching a hook needs of the engine. */
export interface HookContext extends AttachContext {
  procfs: string;
  symbols: KernelSymbols;
  features: KernelFeatures;
}

/** Never throws; there is an attachment exactly if the status says Attached. */
export function attachHook(
  context: HookContext,
  id: number,
  def: HookDef,
): { status: HookStatus; attachment?: Attachment } {
  const status: HookStatus = { path: def.path, call: def.call, state: "Failed" };
  try {
    const target = resolveTarget(context, def);
    status.function = target.name;
    const image = makeImage(context, id, def);
    const { attachment, refusals } = attachFirst(
      context,
      chooseAttach(def, target, context.features),
      target,
      image,
    );
    if (refusals.length > 0) status.message = refusals.join("; ");
    return { status: { ...status, state: "Attached", attach: attachment.kind }, attachment };
  } catch (error) {
    status.reason = error instanceof HookError ? error.reason : failureReason(error);
    status.message = errorText(error);
    if (status.reason === "FunctionNotFound") status.state = def.ignoreCallNotFound ? "Skipped" : "NotFound";
    return { status };
  }
}

function resolveTarget({ symbols }: HookContext, def: HookDef): ResolvedFunction {
  if (def.section !== "kprobes" && def.section !== "fentries") {
    throw new HookError("KernelUnsupported", `hooks of ${def.section} are not supported`);
  }
  const target = symbols.resolve(def, arch());
  checkArguments(def, target.name, def.syscall ? syscallBody(symbols, target) : target.proto);
  return target;
}

/** A system call's entry point takes registers; its arguments are those of a function that is inlined more often than not. */
function syscallBody(symbols: KernelSymbols, target: ResolvedFunction): FuncProto | undefined {
  const call = target.name.replace(/^__(x64|arm64)_/, "");
  return symbols.proto(`__do_${call}`) ?? symbols.proto(`__se_${call}`);
}

function makeImage({ procfs }: HookContext, hookId: number, def: HookDef): ConfigImage {
  return encodeConfig(def, {
    hookId,
    limitSeed: [randomBytes(8).readBigUInt64LE(), randomBytes(8).readBigUInt64LE()],
    hostNamespace: (name) => hostNamespace(procfs, name),
  });
}

/** Tries the candidates in order; the refusals say why not by an earlier one. */
function attachFirst(
  context: AttachContext,
  choice: Choice,
  target: ResolvedFunction,
  image: ConfigImage,
): { attachment: Attachment; refusals: string[] } {
  let reason: HookReason = "KernelUnsupported";
  // Why a hook is no kprobe matters only where it is nothing else either.
  const refusals = choice.refusals
    .filter(({ kind }) => kind === "fentry" || choice.candidates.length === 0)
    .map((refusal) => `${refusal.kind}: ${refusal.reason}`);
  for (const kind of choice.candidates) {
    try {
      return { attachment: attachEntry(context, kind, target, image), refusals };
    } catch (error) {
      reason = failureReason(error);
      refusals.push(`${kind}: ${errorText(error)}`);
    }
  }
  throw new HookError(reason, refusals.join("; "));
}
