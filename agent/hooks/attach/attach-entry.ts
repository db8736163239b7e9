/** Loads clones of the template programs with a hook's maps, and attaches them. */
import type { AttachKind, HookReason } from "../../../crds/conditions.ts";
import { overrides } from "../../../crds/hook-spec.ts";
import {
  type AttachType,
  type Binding,
  type BpfError,
  type BpfLink,
  type BpfMap,
  type BpfObject,
  type BpfProgram,
  type CloneOptions,
  isBpfError,
  type ProgramType,
} from "../../bpf/binding.ts";
import type { ConfigImage } from "../config/encode.ts";
import { configAtEntry } from "../config/syscall-entry.ts";
import { callName, type OtherEntry, type Target } from "../targets/targets.ts";
import type { EntryKind } from "./choose.ts";
import { createConfigMap, createHookMaps, type HookMaps } from "./hook-maps.ts";
import { type Mode, setMode } from "./mode.ts";
import { type SlowStep, type Steps, take } from "./steps.ts";
import { readVerdict } from "./verifier-reason.ts";

/** The handles of an attached hook. */
export interface Attachment {
  /** The kind that the hook's status reports. */
  kind: AttachKind;
  maps: HookMaps;
  /** Configs at other entries of the system call. */
  configs: BpfMap[];
  programs: BpfProgram[];
  links: BpfLink[];
  /** Other entries of the system call at which the kernel does not let a program override. */
  notOverridable: string[];
  /** Other entries of the system call at which a kprobe stands in for a program that the verifier refused. */
  byKprobe: string[];
}

/** What attaching needs of the engine. */
export interface AttachContext {
  bpf: Binding;
  object: BpfObject;
}

/** One of a hook's two programs, at entry or at return: its template, and how the clone is loaded and attached. */
interface Half {
  template: string;
  /** Name of the clone, if it differs from the template's. */
  name?: string;
  type: ProgramType;
  expectedAttachType: AttachType;
  sleepable?: boolean;
  /** Opens the link. */
  attach(program: BpfProgram, target: Target): SlowStep<BpfLink>;
}

const tracing = (template: string, expectedAttachType: AttachType, name = template): Half => ({
  template,
  name,
  type: expectedAttachType === "lsm_mac" ? "lsm" : "tracing",
  expectedAttachType,
  attach: (program) => ({
    now: () => program.attachTracing(),
    inBackground: () => program.attachTracingAsync(),
  }),
});

const untyped = (template: string, type: ProgramType, attach: Half["attach"]): Half => ({
  template,
  type,
  expectedAttachType: "none",
  attach,
});

/** Compares credentials, and looks at no parameter: it suits every kind of entry. */
const DRIFT = "drift_hook";

const kprobe = (program: BpfProgram, name: string, retprobe: boolean): SlowStep<BpfLink> => ({
  now: () => program.attachKprobe(name, { retprobe }),
  inBackground: () => program.attachKprobeAsync(name, { retprobe }),
});

const tracepoint = (program: BpfProgram, subsystem: string, event: string): SlowStep<BpfLink> => ({
  now: () => program.attachTracepoint(subsystem, event),
  inBackground: () => program.attachTracepointAsync(subsystem, event),
});

const FEXIT = tracing("hook_fexit", "trace_fexit");

/** The programs of each kind: the one at entry, and the one at return for hooks that post their events there. */
const KINDS: Readonly<Record<EntryKind, { entry: Half; exit?: Half; exitKind?: AttachKind }>> = {
  fentry: { entry: tracing("hook_fentry", "trace_fentry"), exit: FEXIT, exitKind: "fexit" },
  fmod_ret: { entry: tracing("hook_fentry", "modify_return", "hook_fmod_ret"), exit: FEXIT },
  lsm: {
    entry: tracing("hook_fentry", "lsm_mac", "hook_lsm"),
    exit: { ...tracing("hook_ima", "lsm_mac"), sleepable: true },
  },
  tp_btf: { entry: tracing("hook_fentry", "trace_raw_tp", "hook_tp_btf") },
  raw_tracepoint: {
    entry: untyped("hook_raw_tracepoint", "raw_tracepoint", (program, { name }) => ({
      now: () => program.attachRawTracepoint(name),
      inBackground: () => program.attachRawTracepointAsync(name),
    })),
  },
  kprobe: {
    entry: untyped("hook_kprobe", "kprobe", (program, { name }) => kprobe(program, name, false)),
    exit: untyped("hook_kretprobe", "kprobe", (program, { name }) => kprobe(program, name, true)),
    exitKind: "kretprobe",
  },
  tracepoint: {
    entry: untyped("hook_tracepoint", "tracepoint", (program, { name, event }) =>
      tracepoint(program, event?.subsystem ?? "", event?.event ?? name),
    ),
    exit: untyped("hook_sys_exit", "tracepoint", (program, { name }) =>
      tracepoint(program, "syscalls", `sys_exit_${callName(name)}`),
    ),
  },
};

/** A loaded program and where it is attached. */
interface ReadyHalf {
  half: Half;
  program: BpfProgram;
  target: Target;
}

/** How a hook is attached. */
export interface AttachOptions {
  mode?: Mode;
  /** Those of the drift sensor, which stay its own: a second program compares credentials. Absent: none does. */
  driftMaps?: Record<string, BpfMap>;
  /** Called when all is loaded: from then on programs may run, and post records. */
  onLoaded?(): void;
}

/**
 * Attaches a hook in one way. Loads every program before the first one is attached, so that little time passes between
 * the first one that runs and the last one. Throws the addon's error, with every handle closed.
 */
export function* attachEntry(
  context: AttachContext,
  kind: EntryKind,
  target: Target,
  image: ConfigImage,
  { mode = "enforce", driftMaps, onLoaded }: AttachOptions = {},
): Steps<Attachment> {
  const { exitKind = kind } = KINDS[kind];
  const maps = createHookMaps(context.bpf, image);
  const attachment: Attachment = {
    ...{ kind, maps, configs: [], programs: [], links: [] },
    ...{ notOverridable: [], byKprobe: [] },
  };
  try {
    setMode(maps, mode);
    if (image.callBytes > 0) attachment.kind = exitKind;
    const halves = (of: EntryKind) => halvesOf(of, target, image, driftMaps !== undefined);
    const programMaps = { ...maps, ...driftMaps };
    const ready = yield* loadHalves(attachment, context.object, halves(kind), target, programMaps);
    for (const other of otherEntries(kind, target)) {
      const config = createConfigMap(context.bpf, configAtEntry(image.config, other.entry));
      attachment.configs.push(config);
      const own = { ...programMaps, ".rodata.hook": config };
      const loadBy = (of: EntryKind) =>
        loadHalves(attachment, context.object, halves(of), { ...target, ...other }, own);
      const loaded = yield* loadUnlessRefused(attachment, bearable(kind, target), () => loadBy(kind));
      if (loaded) ready.push(...loaded);
      else if (kind === "fmod_ret") attachment.notOverridable.push(other.name);
      else {
        ready.push(...(yield* loadBy("kprobe")));
        attachment.byKprobe.push(other.name);
      }
    }
    onLoaded?.();
    for (const { half, program, target } of ready)
      attachment.links.unshift(yield* take(half.attach(program, target)));
    return attachment;
  } catch (error) {
    closeAttachment(attachment);
    throw error;
  }
}

/** Trace events of system calls leave other ABIs out, and say nothing of them. */
function otherEntries(kind: EntryKind, { others = [] }: Target): readonly OtherEntry[] {
  return kind === "tracepoint" ? [] : others;
}

/**
 * Attaches the exit program first, so that no call is recorded at entry whose return would be missed. A kprobe that
 * overrides is the exception: the kernel runs kprobes from the newest to the oldest, and skips the rest once one of
 * them overrides. The exit is attached last there, so that the kernel runs it before the override.
 */
function inOrder(kind: EntryKind, entry: Half, exit: Half, { def }: Target): Half[] {
  return kind === "kprobe" && overrides(def) ? [entry, exit] : [exit, entry];
}

/** The programs of a kind that the hook needs, in the order in which they are attached. */
function halvesOf(kind: EntryKind, target: Target, { callBytes }: ConfigImage, drift: boolean): Half[] {
  const { entry, exit } = KINDS[kind];
  const halves = callBytes > 0 && exit ? inOrder(kind, entry, exit, target) : [entry];
  return drift ? [...halves, { ...entry, template: DRIFT, name: DRIFT }] : halves;
}

/**
 * Why the verifier may refuse another entry of a system call, and the hook is attached all the same. The kernel lists the
 * functions that fmod_ret may override, and no compat entry is among them. And 5.10 describes an entry of setuid16 and the
 * like by a declaration that does not know the registers, so that fentry cannot read them.
 */
function bearable(kind: EntryKind, { def }: Target): readonly HookReason[] {
  if (kind === "fmod_ret") return ["KernelUnsupported"];
  return def.section === "fentries" ? ["KernelUnsupported", "VerifierRejected"] : [];
}

/** Undefined, with nothing loaded, where the verifier refuses the function for one of these reasons. */
function* loadUnlessRefused(
  { programs }: Attachment,
  reasons: readonly HookReason[],
  load: () => Steps<ReadyHalf[]>,
): Steps<ReadyHalf[] | undefined> {
  const before = programs.length;
  try {
    return yield* load();
  } catch (error) {
    if (!reasons.includes(failureReason(error))) throw error;
    for (const program of programs.splice(0, programs.length - before)) program.close();
    return undefined;
  }
}

function* loadHalves(
  { programs }: Attachment,
  object: BpfObject,
  halves: readonly Half[],
  target: Target,
  maps: Record<string, BpfMap>,
): Steps<ReadyHalf[]> {
  const ready: ReadyHalf[] = [];
  for (const half of halves) {
    const program = yield* take(toLoad(object, half, target, maps));
    programs.unshift(program);
    ready.push({ half, program, target });
  }
  return ready;
}

function toLoad(
  object: BpfObject,
  half: Half,
  target: Target,
  maps: Record<string, BpfMap>,
): SlowStep<BpfProgram> {
  const { template, name = template, type, expectedAttachType, sleepable = false } = half;
  const byId = expectedAttachType !== "none";
  if (byId && !target.proto) throw new Error(`kernel BTF does not describe ${target.name}`);
  const attachBtfId = byId && { attachBtfId: target.proto?.btfId ?? 0 };
  const options: CloneOptions = {
    name,
    type,
    expectedAttachType,
    sleepable,
    ...attachBtfId,
    maps,
  };
  const program = object.program(template);
  return { now: () => program.clone(options), inBackground: () => program.cloneAsync(options) };
}

/** Closes the links first, so that the programs no longer run when their maps are closed. */
export function closeAttachment({ links, programs, maps, configs }: Attachment): void {
  const all = Object.values(maps as Record<string, BpfMap>);
  for (const handle of [...links, ...programs, ...all, ...configs]) handle.close();
}

/** The stable reason for a failure to attach. */
export function failureReason(error: unknown): HookReason {
  if (!isBpfError(error)) return "AttachFailed";
  if (error.step === "load program" && isVerdict(error)) {
    return readVerdict(error.verifierReason ?? "") === "lacking" ? "KernelUnsupported" : "VerifierRejected";
  }
  return error.code === "EPERM" || error.code === "EOPNOTSUPP" ? "KernelUnsupported" : "AttachFailed";
}

function isVerdict(error: BpfError): boolean {
  if (error.code === "E2BIG") return true;
  return error.verifierLog !== undefined && ["EACCES", "EINVAL", "EFAULT"].includes(error.code);
}
