/** A hook engine for tests: attaches hooks, runs `act`, and returns the records. */
import assert from "node:assert/strict";
import { type SpawnSyncOptions, spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { type Binding, type KernelBtf, loadBinding } from "../../agent/bpf/binding.ts";
import { type AttachedHook, type EngineOptions, HookEngine } from "../../agent/hooks/engine.ts";
import { preemptsPrograms } from "../../agent/hooks/kernel/preemption.ts";
import { makeHook } from "../../agent/hooks/testing/hooks.ts";
import { DRIFT_OF_HOOK } from "../../agent/records/layout.ts";
import type { ArgDef, HookDef } from "../../crds/hook-spec.ts";
import { createLogger } from "../../lib/logger.ts";
import {
  argumentValue,
  type CredChangeFields,
  decodeBatch,
  type Slot,
  type TestRecord,
  type Value,
} from "./records.ts";

const ROOT = resolve(import.meta.dirname, "../..");

/** The BPF object that the engine loads. */
export const OBJECT = resolve(ROOT, "build/bpf/trigon.bpf.o");

/** The program of programs/act.c. */
export const ACT = resolve(ROOT, "build/guest/act");

/** The program of programs/call-32.c. */
export const CALL_32 = resolve(ROOT, "build/guest/call-32");

/** Numbers of system calls on this architecture. */
export const NR = {
  ioctl: 16,
  access: 21,
  getpid: 39,
  clone: 56,
  getcwd: 79,
  readlink: 89,
  setuid: 105,
  setgid: 106,
  setreuid: 113,
  setregid: 114,
  setgroups: 116,
  setresuid: 117,
  setresgid: 119,
  setfsuid: 122,
  setfsgid: 123,
  capset: 126,
  prctl: 157,
  keyctl: 250,
  openat: 257,
  unshare: 272,
  setns: 308,
};

/** A step of `act`: setfsuid(-1) changes nothing and is called by nothing else in a guest. */
export const QUIET = `call ${NR.setfsuid}:-1`;

/** The addon on a kernel whose types do not describe what this method looks up. */
export function withoutTypes(method: keyof Pick<KernelBtf, "funcProto" | "tracepointProto">): Binding {
  const binding = loadBinding();
  const loadKernelBtf = () =>
    Object.defineProperty(binding.loadKernelBtf(), method, { value: () => undefined });
  return Object.create(binding, { loadKernelBtf: { value: loadKernelBtf } }) as Binding;
}

/** A hit: its hook, its process, and the arguments' values by the types of the definition. */
export interface Hit {
  hook: number;
  selector: number;
  pid: number;
  tid: number;
  uid: number;
  values: Value[];
  statuses: number[];
  /** KprobeAction number. */
  action: number;
  /** RECORD_* bits. */
  flags: number;
  /** The function's return value; undefined for a hook that does not report at return. */
  returned: Value;
  /** Addresses, innermost first. */
  kernelStack: bigint[];
  userStack: bigint[];
  /** Old and new credentials, if the hook receives both. */
  change?: CredChangeFields;
  /** Number of the system call that the task was in, with the bits of its ABI; NO_SYSCALL: none is shown. */
  syscall: number;
  /** The task was executing a file. */
  inExec: boolean;
}

/** A program's pid and how it ended. */
export interface Ran {
  pid: number;
  status: number | null;
  /** The signal that ended it. */
  signal: NodeJS.Signals | null;
  stdout: string;
}

/** Runs a program to its end. */
export function run(program: string, args: readonly string[], options: SpawnSyncOptions = {}): Ran {
  const { pid, status, signal, stdout, stderr, error } = spawnSync(program, args, {
    ...options,
    encoding: "utf8",
  });
  if (error) throw error;
  if (status === 126 || status === 127) assert.fail(`${program} ${args.join(" ")}: ${stderr}`);
  return { pid, status, signal, stdout: String(stdout) };
}

/** `act` with its steps as one text: "call 39 exit 3". */
export function act(steps: string, options: SpawnSyncOptions = {}): Ran {
  return run(ACT, steps.split(" "), options);
}

/** Only a kprobe has the registers of a function: with this argument a hook that could be an fentry is none. */
export const BY_KPROBE: ArgDef[] = [{ index: 0, type: "uint64", source: "pt_regs", resolve: "di" }];

/** A hook on a call; one named sys_* is a system call. */
export function makeHookOn(call: string, parts: Partial<HookDef> = {}): HookDef {
  return makeHook({ call, syscall: call.startsWith("sys_"), ...parts });
}

/** An engine and all records since the last read. */
export class TestEngine {
  readonly engine: HookEngine;
  readonly logger = createLogger({ component: "test", level: "error" });
  #records: TestRecord[] = [];
  #drifts: TestRecord[] = [];
  /** With TRIGON_DRIFT=1 every test is one of credential drift, too: there must be none. */
  readonly #expectsNoDrift: boolean;

  /** `onRecord` gets what is for the agent's own use, and not for a hook. */
  constructor({
    onRecord,
    ...options
  }: Partial<EngineOptions> & { onRecord?(record: TestRecord): void } = {}) {
    this.#expectsNoDrift = options.credentialDrift === undefined && process.env.TRIGON_DRIFT === "1";
    this.engine = HookEngine.start({
      objectPath: OBJECT,
      bpf: loadBinding(),
      procfs: "/proc",
      logger: this.logger,
      credentialDrift: this.#expectsNoDrift,
      onBatch: (batch) => {
        const records = decodeBatch(batch);
        this.#records.push(...records);
        this.#drifts.push(...records.filter(isDrift));
        if (onRecord) records.forEach(onRecord);
      },
      ...options,
    });
  }

  /** Everything since the last call. */
  takeRecords(): TestRecord[] {
    this.engine.flush();
    const records = this.#records;
    this.#records = [];
    return records;
  }

  /** Attach kind of functions that both kinds of program can hook. */
  entryKind(): "fentry" | "kprobe" {
    return preemptsPrograms(this.engine.features.preemption) ? "kprobe" : "fentry";
  }

  /** Attaches a hook, or fails the test with the reason. */
  attach(def: HookDef): AttachedHook {
    const hook = this.engine.attach(def);
    assert.equal(hook.status.state, "Attached", `${def.call}: ${hook.status.message}`);
    return hook;
  }

  /** The hits of these hooks while `trigger` ran; they are detached afterwards. */
  watch(defs: readonly HookDef[], trigger: () => unknown): Hit[] {
    const hooks = defs.map((def) => this.attach(def));
    try {
      return this.hitsOf(hooks, trigger);
    } finally {
      for (const hook of hooks) hook.detach();
    }
  }

  /** The hits of these hooks while `trigger` ran; they stay attached. */
  hitsOf(hooks: readonly AttachedHook[], trigger: () => unknown): Hit[] {
    this.takeRecords();
    trigger();
    return this.takeRecords().flatMap((record) => toHit(record, hooks));
  }

  close(): void {
    if (this.#expectsNoDrift) this.engine.flush();
    this.engine.close();
    if (this.#expectsNoDrift) assert.deepEqual(this.#drifts, [], "credential drift");
  }
}

/** Whether the record says that credentials differ from what the kernel gave. */
export function isDrift({ kind, fields }: TestRecord): boolean {
  return kind === "hook" && (fields.hook_id as number) >= DRIFT_OF_HOOK;
}

/** The hits in some batches of a hook that was attached by hand, with id 1. */
export function hitsIn(batches: readonly ArrayBuffer[], def: HookDef): Hit[] {
  return batches.flatMap(decodeBatch).flatMap((record) => toHit(record, [{ id: 1, resolved: def }]));
}

function addresses(slot: Slot | undefined): bigint[] {
  if (!slot) return [];
  return [...new BigUint64Array(slot.bytes.slice().buffer)];
}

function toHit(record: TestRecord, hooks: readonly Pick<AttachedHook, "id" | "resolved">[]): Hit[] {
  const index = hooks.findIndex((hook) => record.kind === "hook" && hook.id === record.fields.hook_id);
  const def = hooks[index]?.resolved;
  if (!def) return [];
  return [
    {
      hook: index,
      selector: record.fields.selector as number,
      pid: record.pid,
      tid: record.tid,
      uid: record.uid,
      values: record.slots.map((slot, position) => argumentValue(slot, def.args[position]?.type ?? "nop")),
      statuses: record.slots.map((slot) => slot.status),
      action: record.fields.action as number,
      flags: record.flags,
      returned: argumentValue(record.extras.returned, def.returnArg?.type ?? "nop"),
      kernelStack: addresses(record.extras.kernelStack),
      userStack: addresses(record.extras.userStack),
      syscall: record.fields.syscall as number,
      inExec: record.fields.in_exec === 1,
      ...(record.extras.change && { change: record.extras.change }),
    },
  ];
}
