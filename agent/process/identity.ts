/** The process and image that a record names, and how images are compared with it. */
import { joinWords } from "../records/decode.ts";
import type { Image } from "./image.ts";
import { TICK_NS } from "./proc-files.ts";

/** A process by pid and start, and the image of it by exec_seq, as every record's header has them. */
export interface RecordIdentity {
  pid: number;
  startLow: number;
  startHigh: number;
  seq: number;
  ktimeNs: bigint;
  uid: number;
}

/** The fields of a fork record; the identity is the child's. */
export interface ForkIdentity extends RecordIdentity {
  nspid: number;
  parentPid: number;
  parentStartLow: number;
  parentStartHigh: number;
  /** Not the parent with CLONE_PARENT. */
  creatorPid: number;
}

/** Takes over what only records know exactly. */
export function adopt(image: Image, record: RecordIdentity): Image {
  image.seq = record.seq;
  image.startLow = record.startLow;
  image.startHigh = record.startHigh;
  image.startExact = true;
  return image;
}

/** Which process an image is of. */
export function processOf({ pid, startLow, startHigh }: Image) {
  return { pid, startLow, startHigh };
}

/** Start of the process rounded down to a clock tick. */
export function ticks(of: { startLow: number; startHigh: number }): bigint {
  const ns = joinWords(of.startLow, of.startHigh);
  return ns - (ns % TICK_NS);
}

/** Whether an image is of the process that a record names. */
export function sameProcess(image: Image, record: { startLow: number; startHigh: number }): boolean {
  if (image.startLow === record.startLow && image.startHigh === record.startHigh) return true;
  return !image.startExact && ticks(image) === ticks(record);
}
