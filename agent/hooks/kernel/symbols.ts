/** From the `call` of a policy to the function that the running kernel has. */
import { readFileSync } from "node:fs";
import type { HookDef } from "../../../crds/hook-spec.ts";
import { didYouMean } from "../../../policy/suggest.ts";
import type { FuncProto, KernelBtf } from "../../bpf/binding.ts";
import { HookError } from "../hook-error.ts";
import { type OtherEntries, otherEntries, parseEntries } from "./syscall-entries.ts";

/** A function of the running kernel. */
export interface ResolvedFunction {
  name: string;
  /** Absent where BTF does not describe it: it can be probed, and nothing is known of its parameters. */
  proto?: FuncProto;
}

/** Prefix of system call entry points by Node's name of the architecture. */
const SYSCALL_PREFIXES: Readonly<Record<string, string>> = { x64: "__x64_", arm64: "__arm64_" };

/** Functions that policies ask for and newer kernels do not have. */
const GONE: Readonly<Record<string, string>> = {
  override_creds: "inlined since 6.14",
  revert_creds: "inlined since 6.14",
};

/** Name of the function behind a policy's `call`. */
export function functionName(def: Pick<HookDef, "call" | "syscall">, arch: string): string {
  const prefix = SYSCALL_PREFIXES[arch] ?? "";
  return def.syscall && !def.call.startsWith(prefix) ? prefix + def.call : def.call;
}

/** Names of the kernel's functions, read from kallsyms when BTF does not know one. */
export class KernelSymbols {
  readonly #btf: KernelBtf;
  readonly #path: string;
  #names: Set<string> | undefined;
  #entries: ReadonlyMap<string, string> | undefined;

  constructor(btf: KernelBtf, kallsymsPath: string) {
    this.#btf = btf;
    this.#path = kallsymsPath;
  }

  /** Throws a HookError that says what is close to the name. */
  resolve(def: Pick<HookDef, "call" | "syscall">, arch: string): ResolvedFunction {
    const name = functionName(def, arch);
    const proto = this.#btf.funcProto(name);
    if (proto) return { name, proto };
    if (this.#functions().has(name)) return { name };
    throw new HookError("FunctionNotFound", this.#describeMissing(def, name, arch));
  }

  /** What the kernel knows of a function's parameters, if anything. */
  proto(name: string): FuncProto | undefined {
    return this.#btf.funcProto(name);
  }

  /** The functions whose names begin in this way. */
  names(prefix: string): string[] {
    return [...this.#functions()].filter((name) => name.startsWith(prefix));
  }

  /** The functions by which callers of other ABIs reach a system call (`setuid`); none where it has one entry. */
  otherEntries(call: string, arch: string): OtherEntries {
    if (arch !== "x64") return { entries: [], unseen: [] };
    this.#entries ??= parseEntries(readFileSync(this.#path, "latin1"));
    return otherEntries(call, this.#entries);
  }

  /** Forgets the list of all functions, which few hooks need; it is read again for the next one. */
  release(): void {
    this.#names = undefined;
  }

  #describeMissing(def: Pick<HookDef, "call" | "syscall">, name: string, arch: string): string {
    const what = `this kernel has no function ${name}`;
    const gone = GONE[def.call];
    if (gone) return `${what} (${gone})`;
    const other = functionName({ call: def.call, syscall: !def.syscall }, arch);
    if (other !== name && this.#functions().has(other)) {
      return `${what}; ${other} exists: write syscall: ${!def.syscall}`;
    }
    return `${what}${didYouMean(name, this.#functions(), 3)}`;
  }

  #functions(): Set<string> {
    this.#names ??= parseKallsyms(readFileSync(this.#path, "latin1"));
    return this.#names;
  }
}

/** Functions among the lines `ADDRESS TYPE NAME [MODULE]`. */
export function parseKallsyms(text: string): Set<string> {
  const names = new Set<string>();
  for (const match of text.matchAll(/^[0-9a-f]+ [tTwW] (\S+)/gm)) names.add(match[1] as string);
  return names;
}
