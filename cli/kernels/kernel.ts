/** What a kernel has that hooks can be attached to, as far as its BTF names it. */
import { brotliDecompressSync } from "node:zlib";
import { type HookDef, type HookSpec, overrides } from "../../crds/hook-spec.ts";
import { LATEST } from "./choices.ts";
import { KERNELS, NAMES } from "./names.gen.ts";

/** A hook that the kernel lacks, or whose actions it cannot do. */
export interface MissingHook {
  path: string;
  message: string;
  /** The policy says that it may be missing. */
  isOptional: boolean;
}

/** One kernel's names. */
export class RecordedKernel {
  readonly #release: string;
  readonly #names: ReadonlySet<string>;

  /** `choice` is one of KERNEL_CHOICES. */
  constructor(choice: string) {
    const index = choice === LATEST ? KERNELS.length - 1 : KERNELS.indexOf(choice);
    this.#release = KERNELS[index] ?? choice;
    this.#names = namesOf(index);
  }

  /** The hooks of a policy that are missing there, each with what was looked for. */
  missing({ hooks }: HookSpec): MissingHook[] {
    return hooks.flatMap((hook) => {
      const { name, message } = target(hook, this.#release);
      if (name !== undefined && !this.#names.has(name))
        return [{ path: hook.path, message, isOptional: hook.ignoreCallNotFound === true }];
      if (!hook.syscall || !overrides(hook) || Number.parseInt(this.#release, 10) >= OVERRIDES_SYSCALLS)
        return [];
      const refusal = `Linux ${this.#release} of Debian overrides no system calls: it is built without error injection`;
      return [{ path: hook.path, message: refusal, isOptional: false }];
    });
  }
}

/** The first major version in which fmod_ret may override system calls. */
const OVERRIDES_SYSCALLS = 7;

function namesOf(index: number): ReadonlySet<string> {
  const lines = brotliDecompressSync(Buffer.from(NAMES, "base64")).toString("latin1").split("\n");
  const has = (line: string) => (line.charCodeAt(line.length - 1) & (1 << index)) !== 0;
  return new Set(lines.filter(has).map((line) => line.slice(0, -1)));
}

/** x86_64, as the kernels that were recorded. */
const SYSCALL_PREFIX = "__x64_";

function target(
  { section, call, syscall, tracepoint }: HookDef,
  release: string,
): { name?: string; message: string } {
  if (section === "lsmhooks")
    return { name: `bpf_lsm_${call}`, message: `Linux ${release} has no LSM hook ${call}` };
  if (section === "tracepoints") {
    // those of system calls are made without a type
    if (tracepoint === undefined || tracepoint.subsystem === "syscalls") return { message: "" };
    const { subsystem, event } = tracepoint;
    return {
      name: `btf_trace_${event}`,
      message: `Linux ${release} has no tracepoint ${subsystem}/${event} of its own`,
    };
  }
  const name = syscall && !call.startsWith(SYSCALL_PREFIX) ? SYSCALL_PREFIX + call : call;
  return {
    name,
    message: `Linux ${release} has no function ${name} in its BTF: it is inlined there, of a module, or not there at all`,
  };
}
