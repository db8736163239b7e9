/** What /proc knows about processes that started before the agent, or whose exec record was lost. */

import { readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { NAMESPACE_FILES } from "../../crds/linux.ts";
import { parseContainerRef } from "../pods/container-id.ts";
import type { Credentials, Mask, Namespaces } from "../records/decode-exec.ts";
import { splitArguments } from "../records/decode-exec.ts";
import { joinArguments } from "./command-line.ts";
import { FLAG_CWD_FAILED, FLAG_PROCFS, FLAG_ROOT_CWD } from "./flags.ts";
import type { ProcessFacts } from "./image.ts";
import {
  innermostPid,
  isDead,
  listPids,
  type ProcStat,
  parseCgroup,
  parseExeLink,
  parseNamespaceLink,
  parseStat,
  parseStatus,
} from "./proc-files.ts";
import type { Redact } from "./redaction.ts";

/** A process as /proc shows it. */
export interface ScannedProcess {
  pid: number;
  parentPid: number;
  /** Start since boot, rounded down to a clock tick. */
  startNs: bigint;
  /** Path of the executed file; empty for kernel threads. */
  exe: string;
  facts: ProcessFacts;
}

/** Which costly parts are read as well. */
export interface ScanOptions {
  credentials?: boolean;
  namespaces?: boolean;
  securityLabels?: boolean;
  /** Default: arguments are shown as they are. */
  redact?: Redact | undefined;
}

const AUID_UNSET = 4_294_967_295;

/** Reads processes below a procfs mount; one that vanishes meanwhile is no error. */
export class ProcScanner {
  readonly #procfs: string;
  readonly #options: ScanOptions;

  constructor(procfs: string, options: ScanOptions = {}) {
    this.#procfs = procfs;
    this.#options = options;
  }

  /** All processes, kernel threads included, parents before their children; throws where there are none. */
  scan(): ScannedProcess[] {
    const processes = new Map<number, ScannedProcess>();
    for (const pid of this.#listPids()) {
      const process = this.read(pid);
      if (process !== undefined) processes.set(pid, process);
    }
    return parentsFirst(processes);
  }

  #listPids(): number[] {
    const wrong = `--procfs ${this.#procfs}: no processes there; where is the procfs of the host mounted?`;
    let pids: number[];
    try {
      pids = listPids(this.#procfs);
    } catch (cause) {
      throw new Error(wrong, { cause });
    }
    if (pids.length === 0) throw new Error(wrong);
    return pids;
  }

  /** One process; undefined when it does not exist or is only waiting to be reaped. */
  read(pid: number): ScannedProcess | undefined {
    const stat = parseStat(this.#text(pid, "stat") ?? "");
    if (stat === undefined || isDead(stat)) return undefined;
    const status = parseStatus(this.#text(pid, "status") ?? "");
    const exe = stat.kernelThread ? "" : this.#exe(pid);
    const facts = this.#facts(pid, stat, status, exe);
    return { pid, parentPid: stat.parentPid, startNs: stat.startNs, exe, facts };
  }

  /** Whether the pid still belongs to a process that started at this time. */
  isAlive(pid: number, startNs: bigint): boolean {
    const stat = parseStat(this.#text(pid, "stat") ?? "");
    return stat !== undefined && !isDead(stat) && stat.startNs === startNs;
  }

  /** Namespace inode numbers of a process; 0 where the kernel has no such namespace. */
  namespaces(pid: number): Namespaces {
    const inode = (name: string) => parseNamespaceLink(this.#link(pid, `ns/${name}`) ?? "");
    return Object.fromEntries(
      Object.values(NAMESPACE_FILES).map((file) => [file, inode(file)]),
    ) as Namespaces;
  }

  /** What the Linux Security Modules call a process, when the options ask for it. */
  securityLabel(pid: number): string | undefined {
    if (!this.#options.securityLabels) return undefined;
    const text = this.#text(pid, "attr/current")?.replace(/[\0\n]+$/, "");
    return text === "" ? undefined : text;
  }

  #facts(pid: number, stat: ProcStat, status: Map<string, string>, exe: string): ProcessFacts {
    const argv = this.#argv(pid);
    const cwd = this.#link(pid, "cwd");
    const cwdFlags = cwd === undefined ? FLAG_CWD_FAILED : cwd === "/" ? FLAG_ROOT_CWD : 0;
    const nspid = innermostPid(status) ?? 0;
    const uid = status.get("Uid")?.split("\t")[1];
    const container = parseContainerRef(parseCgroup(this.#text(pid, "cgroup") ?? ""));
    const securityLabel = this.securityLabel(pid);
    const binary = exe !== "" ? exe : stat.kernelThread || argv[0] === undefined ? `[${stat.comm}]` : argv[0];
    const text = joinArguments(argv);
    return {
      ...(uid !== undefined && { uid: Number(uid) }),
      auid: Number(this.#text(pid, "loginuid")?.trim() || AUID_UNSET),
      cwd: cwd ?? "",
      binary,
      argv0: argv[0] ?? "",
      arguments: this.#options.redact?.(binary, text) ?? text,
      flags: FLAG_PROCFS | cwdFlags,
      nspid,
      inInitTree: nspid === 1 && pid !== 1,
      ...(container !== undefined && { container }),
      ...(this.#options.credentials && { credentials: parseCredentials(status) }),
      ...(securityLabel !== undefined && { securityLabel }),
      ...(this.#options.namespaces && { namespaces: this.namespaces(pid) }),
    };
  }

  #argv(pid: number): string[] {
    const bytes = this.#bytes(pid, "cmdline");
    return bytes === undefined ? [] : splitArguments(bytes, 0, bytes.length);
  }

  #exe(pid: number): string {
    return parseExeLink(this.#link(pid, "exe") ?? "");
  }

  #text(pid: number, name: string): string | undefined {
    return this.#bytes(pid, name)?.toString("utf8");
  }

  #bytes(pid: number, name: string): Buffer | undefined {
    try {
      return readFileSync(join(this.#procfs, String(pid), name));
    } catch {
      return undefined; // gone, or not ours to read
    }
  }

  #link(pid: number, name: string): string | undefined {
    try {
      return readlinkSync(join(this.#procfs, String(pid), name));
    } catch {
      return undefined;
    }
  }
}

function parseCredentials(status: Map<string, string>): Credentials {
  const ids = (name: string) => (status.get(name) ?? "0\t0\t0\t0").split("\t").map(Number);
  const [uid = 0, euid = 0, suid = 0, fsuid = 0] = ids("Uid");
  const [gid = 0, egid = 0, sgid = 0, fsgid = 0] = ids("Gid");
  const mask = (name: string): Mask => {
    const digits = (status.get(name) ?? "").padStart(16, "0");
    return [Number.parseInt(digits.slice(8), 16), Number.parseInt(digits.slice(0, 8), 16)];
  };
  return {
    uid,
    euid,
    suid,
    fsuid,
    gid,
    egid,
    sgid,
    fsgid,
    securebits: 0, // not in /proc
    permitted: mask("CapPrm"),
    effective: mask("CapEff"),
    inheritable: mask("CapInh"),
  };
}

function parentsFirst(processes: Map<number, ScannedProcess>): ScannedProcess[] {
  const ordered: ScannedProcess[] = [];
  const seen = new Set<number>();
  const visit = (process: ScannedProcess): void => {
    if (seen.has(process.pid)) return;
    seen.add(process.pid);
    const parent = processes.get(process.parentPid);
    if (parent !== undefined) visit(parent);
    ordered.push(process);
  };
  for (const process of processes.values()) visit(process);
  return ordered;
}
