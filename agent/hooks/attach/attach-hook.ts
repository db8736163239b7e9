/** Attaches a hook from its definition. The status holds the result, or the reason why the hook is not attached. */
import { randomBytes } from "node:crypto";
import { arch } from "node:os";
import type { AttachKind, HookReason, HookState } from "../../../crds/conditions.ts";
import type { HookDef } from "../../../crds/hook-spec.ts";
import { errorText } from "../../../lib/logger.ts";
import type { KernelBtf } from "../../bpf/binding.ts";
import { type ConfigImage, encodeConfig } from "../config/encode.ts";
import type { Resolution } from "../config/filters.ts";
import { numberSyscalls } from "../config/syscall-values.ts";
import type { DriftSensor } from "../drift/drift-sensor.ts";
import { readsCredentials } from "../drift/reads-credentials.ts";
import { HookError, type Refusal, refusalsOf } from "../hook-error.ts";
import type { KernelFeatures } from "../kernel/features.ts";
import type { KernelSymbols } from "../kernel/symbols.ts";
import type { FollowTable } from "../processes/follow-table.ts";
import { hostNamespace } from "../processes/host-namespaces.ts";
import type { ScopeTable } from "../scopes/scope-table.ts";
import { resolveBuffers } from "../targets/buffers.ts";
import { resolveFieldPaths } from "../targets/field-paths.ts";
import { resolveTarget, type Target } from "../targets/targets.ts";
import { resolveFields, syscallFields } from "../targets/trace-events.ts";
import {
  type AttachContext,
  type Attachment,
  type AttachOptions,
  attachEntry,
  failureReason,
} from "./attach-entry.ts";
import { type Choice, chooseAttach, type EntryKind } from "./choose.ts";
import type { Mode } from "./mode.ts";
import type { Steps } from "./steps.ts";
import { adviceOnSize } from "./too-large.ts";

/** Status of a hook: how it is attached, or why it is not. */
export interface HookStatus {
  path: string;
  call: string;
  state: HookState;
  attach?: AttachKind;
  /** The kernel's name of the function, for example `__x64_sys_setuid`. */
  function?: string;
  reason?: HookReason;
  /** Why the hook is not attached, or why it is attached by another kind than the preferred one. */
  message?: string;
  /** What the kernel refused, one entry per kind that was tried; absent when the hook is attached. */
  refusals?: readonly Refusal[];
}

/** What attaching a hook needs of the engine. */
export interface HookContext extends AttachContext {
  procfs: string;
  btf: KernelBtf;
  symbols: KernelSymbols;
  features: KernelFeatures;
  follows: FollowTable;
  scopes: ScopeTable;
  /** Why no hook can be attached on this node. */
  refusal?: string;
  drift: DriftSensor;
  /** Every hook that reads credentials looks for drift. */
  driftEverywhere: boolean;
}

/** The result of attaching a hook; it has an attachment exactly if the status is Attached. */
export interface AttachResult {
  status: HookStatus;
  /** The definition for this kernel: each `auto` is replaced by a type. */
  def: HookDef;
  attachment?: Attachment;
}

/** A hook whose programs are loaded, and run from now on. */
export interface LoadedHook {
  id: number;
  /** As in AttachResult. */
  resolved: HookDef;
  /** The kernel's name of the function. */
  functionName: string;
}

/** How a hook is attached. */
export interface AttachWishes {
  mode: Mode;
  /** Called before the first program runs; again if the hook is then attached by another kind. */
  onLoaded?: ((hook: LoadedHook) => void) | undefined;
}

/** Attaches a hook; never throws. */
export function* attachHook(
  context: HookContext,
  id: number,
  def: HookDef,
  { mode, onLoaded }: AttachWishes,
): Steps<AttachResult> {
  const status: HookStatus = { path: def.path, call: def.call, state: "Failed" };
  try {
    if (context.refusal !== undefined) throw new HookError("AttachFailed", context.refusal);
    const target = resolveTarget(context, numberSyscalls(def, arch()));
    status.function = target.name;
    const choice = chooseAttach(target.def, target, context.features);
    const loaded = { id, resolved: target.def, functionName: target.name };
    const options = { mode, onLoaded: () => onLoaded?.(loaded), ...driftMaps(context, id, def) };
    const { attachment, messages } = yield* attachFirst(choice, target.def, (kind) =>
      attachEntry(context, kind, target, makeImage(context, id, target, kind), options),
    );
    messages.push(...abiMessages(attachment, target));
    if (messages.length > 0) status.message = messages.join("; ");
    return { status: { ...status, state: "Attached", attach: attachment.kind }, def: target.def, attachment };
  } catch (error) {
    context.follows.release(id);
    context.scopes.release(id);
    context.drift.release(id);
    status.reason = error instanceof HookError ? error.reason : failureReason(error);
    status.message = errorText(error);
    const refusals = refusalsOf(error);
    if (refusals.length > 0) status.refusals = refusals;
    if (status.reason === "FunctionNotFound") status.state = def.ignoreCallNotFound ? "Skipped" : "NotFound";
    return { status, def };
  }
}

/** The maps of the drift sensor, which the hook holds from now on, if it is to look for drift. */
function driftMaps(
  { drift, driftEverywhere }: HookContext,
  id: number,
  def: HookDef,
): Pick<AttachOptions, "driftMaps"> {
  const looks = def.drift === true || (driftEverywhere && readsCredentials(def));
  return looks ? { driftMaps: drift.take(id) } : {};
}

/** Which callers of other ABIs the hook sees, and which it does not. */
function abiMessages(
  { kind, notOverridable, byKprobe }: Pick<Attachment, "kind" | "notOverridable" | "byKprobe">,
  { others = [], unseen = [] }: Target,
): string[] {
  const names = others.map(({ name }) => name).filter((name) => !notOverridable.includes(name));
  if (kind === "tracepoint") {
    const all = [...names, ...unseen];
    return all.length > 0 ? [`does not see callers of other ABIs (${all.join(", ")})`] : [];
  }
  return [
    ...(names.length > 0 ? [`also at ${names.join(", ")}`] : []),
    ...(byKprobe.length > 0 ? [`by kprobes at ${byKprobe.join(", ")}, which fentry cannot read`] : []),
    ...(notOverridable.length > 0
      ? [`not at ${notOverridable.join(", ")}, where the kernel allows no override`]
      : []),
    ...(unseen.length > 0 ? [`not at ${unseen.join(", ")}, where arguments are others`] : []),
  ];
}

function makeImage(
  { bpf, procfs, btf, follows, scopes }: HookContext,
  hookId: number,
  target: Target,
  kind: EntryKind,
): ConfigImage {
  const { def, event, proto, hashOf } = target;
  const resolution: Resolution = {
    hookId,
    cpus: bpf.possibleCpus(),
    limitSeed: [randomBytes(8).readBigUInt64LE(), randomBytes(8).readBigUInt64LE()],
    hostNamespace: (name) => hostNamespace(procfs, name),
    followBit: (list) => follows.take(hookId, list),
    scopeBit: (scope) => scopes.take(hookId, scope),
    fieldPaths: resolveFieldPaths(btf, def, proto),
    ...(hashOf && { hashOf }),
    ...(proto && { parameters: proto.params.length }),
  };
  if (event && def.section === "tracepoints") {
    const { def: resolved, fields, buffers } = resolveFields(def, event);
    return encodeConfig(resolved, { ...resolution, fields, buffers });
  }
  const buffers = resolveBuffers(btf, def, proto);
  if (kind !== "tracepoint" || !event) return encodeConfig(def, { ...resolution, buffers });
  return encodeConfig(def, { ...resolution, buffers, fields: syscallFields(event) });
}

/** Tries the candidates in order. The messages explain why the kinds before the attached one were not used. */
function* attachFirst(
  choice: Choice,
  def: HookDef,
  attach: (kind: EntryKind) => Steps<Attachment>,
): Steps<{ attachment: Attachment; messages: string[] }> {
  let reason: HookReason = "KernelUnsupported";
  // A kind that is not preferred is worth a message only if there is no candidate at all.
  const messages = choice.refusals
    .filter(({ preferred }) => preferred || choice.candidates.length === 0)
    .map((refusal) => `${refusal.kind}: ${refusal.reason}`);
  const refusals: Refusal[] = [];
  for (const kind of choice.candidates) {
    try {
      return { attachment: yield* attach(kind), messages };
    } catch (error) {
      if (error instanceof HookError) throw error;
      reason = failureReason(error);
      messages.push(`${kind}: ${errorText(error)}`);
      refusals.push(...refusalsOf(error));
    }
  }
  messages.push(...adviceOnSize(def, refusals));
  throw new HookError(reason, messages.join("; "), { refusals });
}
