/** Finds what a hook attaches to in the running kernel: a function, an LSM hook or a tracepoint. */
import { arch } from "node:os";
import type { HookDef } from "../../../crds/hook-spec.ts";
import { didYouMean } from "../../../policy/suggest.ts";
import type { Binding, FuncProto, KernelBtf } from "../../bpf/binding.ts";
import type { HashOperand } from "../config/filters.ts";
import { hashes } from "../config/selectors.ts";
import { HookError } from "../hook-error.ts";
import { checkArguments, checkReturn, formatPrototype } from "../kernel/prototype.ts";
import type { KernelSymbols } from "../kernel/symbols.ts";
import type { SyscallEntry } from "../kernel/syscall-entries.ts";
import { resolveAuto } from "./auto-type.ts";
import { readTraceEvent, resolveFields, type TraceEvent } from "./trace-events.ts";

/** What a hook attaches to, and its parameters as far as they are known. */
export interface Target {
  /** The name in events and in the status. */
  name: string;
  /** The prototype, with the BTF id by which trampolines attach. */
  proto?: FuncProto;
  /** The trace event whose fields are the arguments; for a system call, the event at its entry. */
  event?: TraceEvent;
  /** The file whose hash the hook asks for. */
  hashOf?: HashOperand;
  /** The hook with each `auto` replaced by a type. */
  def: HookDef;
  /** Functions by which callers of other ABIs reach the system call. */
  others?: OtherEntry[];
  /** Functions of other ABIs that the hook does not see. */
  unseen?: string[];
}

/** A function by which callers of another ABI reach the system call. */
export interface OtherEntry {
  name: string;
  proto?: FuncProto;
  entry: SyscallEntry;
}

/** What resolveTarget() needs. */
export interface TargetContext {
  bpf: Pick<Binding, "tracefsPath">;
  btf: KernelBtf;
  symbols: KernelSymbols;
}

/** Finds the target of a hook; throws a HookError that suggests close names if there is none. */
export function resolveTarget(context: TargetContext, def: HookDef): Target {
  switch (def.section) {
    case "lsmhooks":
      return lsmHook(context, def);
    case "tracepoints":
      return def.tracepoint?.raw ? rawTracepoint(context, def) : traceEvent(context, def);
    default:
      return kernelFunction(context, def);
  }
}

function kernelFunction({ bpf, btf, symbols }: TargetContext, def: HookDef): Target {
  const target = symbols.resolve(def, arch());
  checkArguments(def, target.name, def.syscall ? syscallBody(symbols, target.name) : target.proto, btf);
  checkReturn(def, target.name, target.proto);
  const event = def.syscall ? entryEvent(bpf.tracefsPath(), target.name) : undefined;
  return { ...target, def, ...(event && { event }), ...(def.syscall && findOthers(symbols, target.name)) };
}

function findOthers(symbols: KernelSymbols, name: string): Pick<Target, "others" | "unseen"> {
  const { entries, unseen } = symbols.otherEntries(callName(name), arch());
  const others = entries.map((entry) => {
    const proto = symbols.proto(entry.name);
    return { name: entry.name, entry, ...(proto && { proto }) };
  });
  return { others, unseen };
}

/** The entry point of a system call takes registers. This function has its arguments; many kernels have inlined it. */
function syscallBody(symbols: KernelSymbols, name: string): FuncProto | undefined {
  const call = callName(name);
  return symbols.proto(`__do_sys_${call}`) ?? symbols.proto(`__se_sys_${call}`);
}

/** `setuid` of `__x64_sys_setuid`. */
export function callName(functionName: string): string {
  return functionName.replace(/^__(x64|arm64)_sys_/, "");
}

/** The event is only a fallback. If it or tracefs is missing, the hook can attach in other ways. */
function entryEvent(tracefs: string, functionName: string): TraceEvent | undefined {
  try {
    return readTraceEvent(tracefs, "syscalls", `sys_enter_${callName(functionName)}`);
  } catch {
    return undefined;
  }
}

function lsmHook({ btf, symbols }: TargetContext, def: HookDef): Target {
  const proto = btf.funcProto(`bpf_lsm_${def.call}`);
  if (!proto) {
    const known = symbols.names("bpf_lsm_").map((name) => name.slice("bpf_lsm_".length));
    const what = `this kernel has no LSM hook ${def.call}`;
    throw new HookError("FunctionNotFound", `${what}${didYouMean(def.call, known, 3)}`);
  }
  checkArguments(def, def.call, proto, btf);
  const hashOf = hashes(def) ? hashOperand(btf, def.call, proto) : undefined;
  return { name: def.call, proto, def, ...(hashOf && { hashOf }) };
}

const OF_FILE = /^(const )?struct (file|linux_binprm) \*$/;

/** The first parameter with a file; throws if the kernel cannot hash files there. */
function hashOperand(btf: KernelBtf, name: string, proto: FuncProto): HashOperand {
  const parameter = proto.params.findIndex(({ type }) => OF_FILE.test(type));
  if (parameter < 0) {
    const shown = formatPrototype(name, proto);
    throw new HookError("InvalidArgument", `imaHash: there is no file among the parameters of ${shown}`);
  }
  if (name === "file_open") {
    throw new HookError("InvalidArgument", "imaHash: at file_open the kernel cannot read the file yet");
  }
  if (btf.enumValue("bpf_func_id", "BPF_FUNC_ima_file_hash") === undefined) {
    throw new HookError("KernelUnsupported", "imaHash: the kernel is older than 5.18");
  }
  if (!btf.funcProto("ima_file_hash")) {
    throw new HookError("KernelUnsupported", "imaHash: the kernel is built without IMA (CONFIG_IMA)");
  }
  return { parameter, ofBprm: proto.params[parameter]?.type.includes("linux_binprm") ?? false };
}

function rawTracepoint({ btf, bpf }: TargetContext, def: HookDef): Target {
  const { subsystem, event } = tracepointOf(def);
  const proto = btf.tracepointProto(event);
  if (proto) {
    checkArguments(def, event, proto, btf);
    return { name: event, proto, def: resolveAuto(btf, def, proto) };
  }
  readTraceEvent(bpf.tracefsPath(), subsystem, event); // throws where there is no such tracepoint
  return { name: event, def: resolveAuto(btf, def, proto) };
}

function traceEvent({ bpf }: TargetContext, def: HookDef): Target {
  const { subsystem, event } = tracepointOf(def);
  const found = readTraceEvent(bpf.tracefsPath(), subsystem, event);
  const { types } = resolveFields(def, found);
  const args = def.args.map((arg, position) => ({ ...arg, type: types[position] ?? arg.type }));
  return { name: event, event: found, def: { ...def, args } };
}

function tracepointOf(def: HookDef): { subsystem: string; event: string } {
  if (!def.tracepoint) throw new HookError("InvalidArgument", `${def.call}: the tracepoint is not named`);
  return def.tracepoint;
}
