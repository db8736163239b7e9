/** The system call that the task of a record was in, and whether its credentials change because it executes a file. */
import { arch } from "node:os";
import { nameSyscall, type SyscallName } from "../../crds/syscall-abis.ts";
import { NO_SYSCALL, recordFlags, recordInExec, recordSyscall } from "../records/hook-record.ts";
import { RECORD_CRED_CHANGE } from "../records/layout.ts";

const ARCHITECTURE = arch() === "arm64" ? "arm64" : "x64";
/** The record does not show it where the kernel no longer notes an exec in its task. */
const EXECS: ReadonlySet<string | undefined> = new Set(["execve", "execveat"]);
/** More than there are calls: programs may use numbers that no call has. */
const MOST_KEPT = 4096;

/** A system call and what an encoder makes of it. */
interface Kept {
  bytes: Uint8Array;
  isExec: boolean;
}

/** Encodes each system call once. */
export class SystemCalls {
  readonly #kept = new Map<number, Kept>();
  readonly #encode: (call: Partial<SyscallName>) => Uint8Array;

  constructor(encode: (call: Partial<SyscallName>) => Uint8Array) {
    this.#encode = encode;
  }

  /** The encoded call of the record at a word index; undefined where there is none. */
  bytes(words: Uint32Array, at: number): Uint8Array | undefined {
    return this.#of(recordSyscall(words, at))?.bytes;
  }

  /** Whether the record has changed credentials because of an exec. */
  isInExec(words: Uint32Array, at: number): boolean {
    if ((recordFlags(words, at) & RECORD_CRED_CHANGE) === 0) return false;
    return recordInExec(words, at) || this.#of(recordSyscall(words, at))?.isExec === true;
  }

  #of(number: number): Kept | undefined {
    if (number === NO_SYSCALL) return undefined;
    const known = this.#kept.get(number);
    if (known !== undefined) return known;
    const { id, ...call } = nameSyscall(number, ARCHITECTURE);
    const made = {
      bytes: this.#encode(id === 0 ? call : { id, ...call }),
      isExec: EXECS.has(call.name),
    };
    if (this.#kept.size < MOST_KEPT) this.#kept.set(number, made);
    return made;
  }
}
