/** Entries of process_images for processes that were there before the sensors. */
import type { BpfMap } from "../bpf/binding.ts";
import { EXE_PATH, EXE_TAIL, PROCESS_IMAGE } from "./config-layout.ts";
import { encodePath } from "./path-tables.ts";

/** Adds what a process runs unless an exec has said so already. */
export function seedImage(images: BpfMap, pid: number, exePath: string): void {
  const key = new Uint8Array(Uint32Array.of(pid).buffer);
  if (!images.lookup(key)) images.update(key, encodeImage(exePath));
}

/** struct process_image of a path. */
export function encodeImage(exePath: string): Uint8Array {
  const image = new Uint8Array(PROCESS_IMAGE.size);
  const path = new TextEncoder().encode(exePath);
  const tail = path.subarray(-EXE_TAIL);
  image.set(tail, PROCESS_IMAGE.members.tail + EXE_TAIL - tail.length);
  image.set(encodePath(exePath).subarray(0, EXE_PATH), PROCESS_IMAGE.members.path);
  new DataView(image.buffer).setUint32(PROCESS_IMAGE.members.path_size, path.length, true);
  return image;
}
