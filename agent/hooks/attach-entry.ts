/** Loads a clone of a template with a hook's maps and attaches it, or says in one line what the kernel refused. */
import type { HookReason } from "../../crds/conditions.ts";
import {
  type Binding,
  type BpfError,
  type BpfLink,
  type BpfObject,
  type BpfProgram,
  isBpfError,
} from "../bpf/binding.ts";
import type { EntryKind } from "./choose.ts";
import type { ConfigImage } from "./config-image.ts";
import { createHookMaps, type HookMaps } from "./hook-maps.ts";
import type { ResolvedFunction } from "./symbols.ts";

/** The handles of an attached hook. */
export interface Attachment {
  kind: EntryKind;
  maps: HookMaps;
  program: BpfProgram;
  link: BpfLink;
}

/** What attaching needs of the engine. */
export interface AttachContext {
  bpf: Binding;
  object: BpfObject;
}

/** Throws what the addon throws, with nothing left behind. */
export function attachEntry(
  context: AttachContext,
  kind: EntryKind,
  target: ResolvedFunction,
  image: ConfigImage,
): Attachment {
  const maps = createHookMaps(context.bpf, image);
  let program: BpfProgram | undefined;
  try {
    program = loadEntry(context.object, kind, target, maps);
    const link = kind === "fentry" ? program.attachTracing() : program.attachKprobe(target.name);
    return { kind, maps, program, link };
  } catch (error) {
    program?.close();
    for (const map of Object.values(maps)) map.close();
    throw error;
  }
}

/** Detaches first: the program then runs no more, and its maps are at their final state. */
export function closeAttachment({ link, program, maps }: Attachment): void {
  link.close();
  program.close();
  for (const map of Object.values(maps)) map.close();
}

/** Which stable reason a failure is. */
export function failureReason(error: unknown): HookReason {
  if (!isBpfError(error)) return "AttachFailed";
  if (error.step === "load program" && isVerdict(error)) return "VerifierRejected";
  return error.code === "EPERM" || error.code === "EOPNOTSUPP" ? "KernelUnsupported" : "AttachFailed";
}

function isVerdict(error: BpfError): boolean {
  return error.verifierLog !== undefined && ["EACCES", "EINVAL", "E2BIG", "EFAULT"].includes(error.code);
}

function loadEntry(object: BpfObject, kind: EntryKind, target: ResolvedFunction, maps: HookMaps): BpfProgram {
  if (kind === "kprobe") {
    return object
      .program("hook_kprobe")
      .clone({ name: "hook_kprobe", type: "kprobe", expectedAttachType: "none", maps });
  }
  if (!target.proto) throw new Error(`kernel BTF does not describe ${target.name}`);
  return object.program("hook_fentry").clone({
    name: "hook_fentry",
    type: "tracing",
    expectedAttachType: "trace_fentry",
    attachBtfId: target.proto.btfId,
    maps,
  });
}
