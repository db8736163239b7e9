/** What a kernel has that hooks can be attached to, as far as its BTF names it. */
import { brotliDecompressSync } from "node:zlib";
import { type HookDef, type HookSpec, overrides } from "../../crds/hook-spec.ts";
import { ALL_KERNELS, kernelNames, recordedPrototypes } from "../../policy/probes/prototypes.ts";
import type { PolicyError } from "../../policy/problems.ts";
import { isGone } from "../../policy/warnings/noise.ts";
import { LATEST } from "./choices.ts";
import { KERNELS, NAMES } from "./names.gen.ts";

/** A hook that the kernel lacks, or whose actions it cannot do. */
export interface MissingHook {
  path: string;
  message: string;
  /** A warning where the policy says that it may be missing, or where nobody has named the kernel. */
  level: "error" | "warning";
}

/** What policies are compared with beyond what the compiler says of them. */
export interface Kernel {
  /** Hooks that cannot be attached there, each with what was looked for. */
  missing(spec: HookSpec): MissingHook[];
  /** What a warning of the compiler is there; undefined where it is about other kernels. */
  levelOf(warning: PolicyError): MissingHook["level"] | undefined;
}

/** One kernel's names. */
export class RecordedKernel implements Kernel {
  readonly #release: string;
  readonly #bit: number;

  /** `choice` is one of KERNEL_CHOICES. */
  constructor(choice: string) {
    const index = choice === LATEST ? KERNELS.length - 1 : KERNELS.indexOf(choice);
    this.#release = KERNELS[index] ?? choice;
    this.#bit = 1 << index;
  }

  levelOf({ kernels }: PolicyError): MissingHook["level"] | undefined {
    if (kernels === undefined) return "warning";
    return kernels & this.#bit ? "error" : undefined;
  }

  missing({ hooks }: HookSpec): MissingHook[] {
    return hooks.flatMap((hook) => {
      const { name, what, reason } = target(hook);
      if (name !== undefined && (kernelsOf(name) & this.#bit) === 0) {
        const message = `Linux ${this.#release} has no ${what}${reason}`;
        return [{ path: hook.path, message, level: hook.ignoreCallNotFound ? "warning" : "error" }];
      }
      if (!hook.syscall || !overrides(hook) || Number.parseInt(this.#release, 10) >= OVERRIDES_SYSCALLS)
        return [];
      const refusal = `Linux ${this.#release} of Debian overrides no system calls: it is built without error injection`;
      return [{ path: hook.path, message: refusal, level: "error" }];
    });
  }
}

/**
 * The hooks that some or all of the recorded kernels lack, where nobody has named one of them: functions and tracepoints
 * that the compiler has no record of. It warns of system calls, LSM hooks and functions around credentials itself.
 */
function lackingSomewhere({ hooks }: HookSpec): MissingHook[] {
  return hooks.flatMap((hook) => {
    const { path, section, call, syscall, ignoreCallNotFound } = hook;
    const isChecked =
      syscall ||
      section === "lsmhooks" ||
      isGone(call) ||
      recordedPrototypes({ name: call, syscall }).length > 0;
    const { name, what, reason } = target(hook);
    if (ignoreCallNotFound || isChecked || name === undefined) return [];
    const kernels = kernelsOf(name);
    if (kernels === ALL_KERNELS) return [];
    const lacking = ALL_KERNELS & ~kernels;
    const have = lacking & (lacking - 1) ? "have" : "has";
    const message = `Linux ${kernelNames(lacking)} ${have} no ${what}${reason}`;
    return [{ path, message, level: "warning" }];
  });
}

/** What is said where nobody has named a kernel. */
export const ANY_KERNEL: Kernel = { missing: lackingSomewhere, levelOf: () => "warning" };

/** The first major version in which fmod_ret may override system calls. */
const OVERRIDES_SYSCALLS = 7;

let masks: ReadonlyMap<string, number> | undefined;

/** The kernels that have a name, a bit each. Unpacked when it is asked for first. */
function kernelsOf(name: string): number {
  masks ??= new Map(
    brotliDecompressSync(Buffer.from(NAMES, "base64"))
      .toString("latin1")
      .split("\n")
      .map((line) => [line.slice(0, -1), line.charCodeAt(line.length - 1) - 0x40]),
  );
  return masks.get(name) ?? 0;
}

/** x86_64, as the kernels that were recorded. */
const SYSCALL_PREFIX = "__x64_";

/** What a hook is attached to. Without a name nothing is known of it. */
interface Target {
  name?: string;
  what: string;
  /** Why a kernel may have none, after a colon; or empty. */
  reason: string;
}

function target({ section, call, syscall, tracepoint }: HookDef): Target {
  if (section === "lsmhooks") return { name: `bpf_lsm_${call}`, what: `LSM hook ${call}`, reason: "" };
  if (section === "tracepoints") {
    const what = `tracepoint ${call} of its own`;
    // those of system calls are made without a type
    if (tracepoint === undefined || tracepoint.subsystem === "syscalls") return { what, reason: "" };
    return { name: `btf_trace_${tracepoint.event}`, what, reason: "" };
  }
  const name = syscall && !call.startsWith(SYSCALL_PREFIX) ? SYSCALL_PREFIX + call : call;
  const reason = ": most likely it is inlined there, of a module, or not there at all";
  return { name, what: `function ${name} in BTF`, reason };
}
