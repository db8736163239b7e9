/** From the `call` of a policy to the function that the running kernel has. */
import { setImmediate as turnOfTheEventLoop } from "node:timers/promises";
import type { HookDef } from "../../../crds/hook-spec.ts";
import { closestNames, didYouMean } from "../../../policy/suggest.ts";
import type { FuncProto, KernelBtf } from "../../bpf/binding.ts";
import { HookError } from "../hook-error.ts";
import { entriesOf, functionsOf, readPieces } from "./kallsyms.ts";
import { type OtherEntries, otherEntries } from "./syscall-entries.ts";

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

/** Names that are suggested for one that is missing. */
const NEAR = 3;
/** A few milliseconds of work each. */
const CHARS_PER_TURN = 128 << 10;
const NAMES_PER_TURN = 1_000;

/** As closestNames(), a part of the names in each turn of the event loop. */
async function closestInTurns(written: string, names: ReadonlySet<string>): Promise<string[]> {
  const all = [...names];
  let near: string[] = [];
  for (let start = 0; start < all.length; start += NAMES_PER_TURN) {
    near = closestNames(written, [...near, ...all.slice(start, start + NAMES_PER_TURN)], NEAR);
    await turnOfTheEventLoop();
  }
  return near;
}

/** Parts of kallsyms. */
interface Needs {
  names: boolean;
  entries: boolean;
}

/** Names of the kernel's functions, read from kallsyms when BTF does not know one. */
export class KernelSymbols {
  readonly #btf: KernelBtf;
  readonly #path: string;
  #names: Set<string> | undefined;
  #entries: ReadonlyMap<string, string> | undefined;
  #readingEntries: Promise<void> | undefined;
  /** A name that is missing, and what is close to it: comparing it with all functions takes a tenth of a second. */
  #near: { to: string; names: readonly string[] } | undefined;

  constructor(btf: KernelBtf, kallsymsPath: string) {
    this.#btf = btf;
    this.#path = kallsymsPath;
  }

  /**
   * Reads and compares what resolving this hook needs, and lets other work have its turn meanwhile. What cannot be read is
   * left to the resolving, which reports the error.
   */
  async prepare(def: Pick<HookDef, "section" | "call" | "syscall">, arch: string): Promise<void> {
    const needs = { names: !this.#isDescribed(def, arch), entries: def.syscall && arch === "x64" };
    await this.#readingEntries;
    await this.#readInTurns(needs).catch(() => {});
    const name = functionName(def, arch);
    const names = def.section === "lsmhooks" || this.#isDescribed(def, arch) ? undefined : this.#names;
    if (names && !names.has(name)) this.#near = { to: name, names: await closestInTurns(name, names) };
  }

  /** Reads the entries of system calls, as prepare() does; never rejects. */
  readEntries(arch: string): Promise<void> {
    this.#readingEntries ??= this.#readInTurns({ names: false, entries: arch === "x64" })
      .catch(() => {})
      .finally(() => {
        this.#readingEntries = undefined;
      });
    return this.#readingEntries;
  }

  async #readInTurns(needs: Needs): Promise<void> {
    let sinceTurn = 0;
    for (const chars of this.#read(needs)) {
      sinceTurn += chars;
      if (sinceTurn < CHARS_PER_TURN) continue;
      sinceTurn = 0;
      await turnOfTheEventLoop();
    }
  }

  /** Reads what is needed and not known yet; yields the length of each piece. Nothing is kept of a part. */
  *#read(needs: Needs): Generator<number, void, undefined> {
    const names = needs.names && !this.#names ? new Set<string>() : undefined;
    const entries = needs.entries && !this.#entries ? new Map<string, string>() : undefined;
    if (!names && !entries) return;
    for (const piece of readPieces(this.#path)) {
      if (names) for (const name of functionsOf(piece)) names.add(name);
      if (entries) for (const [name, address] of entriesOf(piece)) entries.set(name, address);
      yield piece.length;
    }
    this.#names ??= names;
    this.#entries ??= entries;
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
    for (const _ of this.#read({ names: false, entries: true }));
    return otherEntries(call, this.#entries ?? new Map());
  }

  /** Forgets the list of all functions, which few hooks need; it is read again for the next one. */
  release(): void {
    this.#names = undefined;
    this.#near = undefined;
  }

  /** Whether BTF knows what the hook is attached to. */
  #isDescribed(def: Pick<HookDef, "section" | "call" | "syscall">, arch: string): boolean {
    if (def.section === "tracepoints") return true;
    const name = def.section === "lsmhooks" ? `bpf_lsm_${def.call}` : functionName(def, arch);
    return this.#btf.funcProto(name) !== undefined;
  }

  #describeMissing(def: Pick<HookDef, "call" | "syscall">, name: string, arch: string): string {
    const what = `this kernel has no function ${name}`;
    const gone = GONE[def.call];
    if (gone) return `${what} (${gone})`;
    const other = functionName({ call: def.call, syscall: !def.syscall }, arch);
    if (other !== name && this.#functions().has(other)) {
      return `${what}; ${other} exists: write syscall: ${!def.syscall}`;
    }
    const near = this.#near?.to === name ? this.#near.names : this.#functions();
    return `${what}${didYouMean(name, near, NEAR)}`;
  }

  #functions(): Set<string> {
    for (const _ of this.#read({ names: true, entries: false }));
    return this.#names ?? new Set();
  }
}
