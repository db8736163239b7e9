/** Fills process_images with the processes that started before the sensors. */
import { readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { CURRENT_CAPABILITY_LINES, NAMESPACE_FILES } from "../../../crds/linux.ts";
import type { BpfMap, BpfProgram } from "../../bpf/binding.ts";
import {
  ENUMERATORS as E,
  EXE_PATH,
  EXE_TAIL,
  PROCESS_IMAGE,
  PROCESS_STATE,
  TEXT_ENDS,
} from "../config/layout.ts";
import { CAPABILITY_SETS_IN_ORDER, NAMESPACES_IN_ORDER } from "../config/linux-enumerators.ts";
import { encodePath } from "../config/path-tables.ts";
import { parseNamespaceLink } from "./host-namespaces.ts";

/** The earlier state for filters on changes: capability sets and namespace inodes, ordered as in struct process_state. */
export interface ProcessState {
  caps: bigint[];
  ns: number[];
}

const CAPABILITY_LINES = CAPABILITY_SETS_IN_ORDER.map((name) => CURRENT_CAPABILITY_LINES[name]);
/** Files of /proc/PID/ns; a kernel may lack some of them. */
const NS_FILES = NAMESPACES_IN_ORDER.map((name) => NAMESPACE_FILES[name]);

/** What gives an image to a process. */
export interface ImageSeed {
  /** seeded_image. */
  image: Pick<BpfMap, "update">;
  /** process_seed. */
  program: Pick<BpfProgram, "testRun">;
}

const ONLY_KEY = new Uint8Array(4);
const NO_CONTEXT = new Uint8Array(0);

/** Adds a process's executable and state, unless an exec or a fork has already done so. False if there is no room. */
export function seedImage(
  { image, program }: ImageSeed,
  procfs: string,
  pid: number,
  exePath: string,
): boolean {
  image.update(ONLY_KEY, encodeImage(pid, exePath, readProcessState(join(procfs, `${pid}`))));
  return program.testRun(NO_CONTEXT) !== E.SEED_NO_ROOM;
}

/** Reads the current state of a process; undefined if procfs does not have it or refuses to show it. */
export function readProcessState(directory: string): ProcessState | undefined {
  try {
    const status = readFileSync(join(directory, "status"), "utf8");
    const caps = CAPABILITY_LINES.map((name) => {
      const digits = new RegExp(`^${name}:\\s*([0-9a-f]+)$`, "m").exec(status)?.[1];
      if (digits === undefined) throw new Error(`${directory}/status has no ${name}`);
      return BigInt(`0x${digits}`);
    });
    return { caps, ns: NS_FILES.map((file) => readNamespace(join(directory, "ns", file))) };
  } catch {
    return undefined; // the process has ended, or may not be examined
  }
}

function readNamespace(path: string): number {
  try {
    return parseNamespaceLink(readlinkSync(path)) ?? 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return 0;
  }
}

/** Encodes struct process_image of a process that has executed a file; the kernel gives it its id. */
export function encodeImage(pid: number, exePath: string, state?: ProcessState): Uint8Array {
  const image = new Uint8Array(PROCESS_IMAGE.size);
  const path = new TextEncoder().encode(exePath);
  const tail = path.subarray(-EXE_TAIL);
  const exe = PROCESS_IMAGE.members.exe;
  image.set(tail, exe + TEXT_ENDS.members.tail + EXE_TAIL - tail.length);
  image.set(encodePath(exePath).subarray(0, EXE_PATH), exe + TEXT_ENDS.members.path);
  const view = new DataView(image.buffer);
  view.setUint32(exe + TEXT_ENDS.members.path_size, path.length, true);
  view.setUint32(PROCESS_IMAGE.members.pid, pid, true);
  if (state) encodeState(view, state);
  return image;
}

function encodeState(view: DataView, { caps, ns }: ProcessState): void {
  const base = PROCESS_IMAGE.members.state;
  view.setUint32(PROCESS_IMAGE.members.flags, E.IMAGE_STATE_KNOWN, true);
  caps.forEach((bits, set) => {
    view.setBigUint64(base + PROCESS_STATE.members.caps + set * 8, bits, true);
  });
  ns.forEach((inum, kind) => {
    view.setUint32(base + PROCESS_STATE.members.ns + kind * 4, inum, true);
  });
}
