/**
 * Extracts the kernel from its compressed image. QEMU boots the ELF file directly (PVH), so that the emulated
 * processor need not decompress it, which takes 5 to 25 s.
 */
import { readFile, rm, writeFile } from "node:fs/promises";
import { zstdDecompressSync } from "node:zlib";
import { runProgram } from "./program.ts";

// Offsets of the x86 boot protocol, version 2.08 and later.
const SETUP_SECTORS = 0x1f1;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;

const XZ = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** Writes the kernel of a bzImage as an ELF file. */
export async function extractKernel(image: string, target: string): Promise<void> {
  const payload = kernelPayload(await readFile(image));
  if (payload.subarray(0, ZSTD.length).equals(ZSTD)) {
    await writeFile(target, zstdDecompressSync(payload));
  } else if (payload.subarray(0, XZ.length).equals(XZ)) {
    await writeFile(`${target}.xz`, payload);
    await runProgram("sh", ["-c", `xz -dc "$1.xz" >"$1"`, "sh", target]);
    await rm(`${target}.xz`);
  } else {
    throw new Error(`${image}: compressed neither by xz nor by zstd`);
  }
}

/** The compressed kernel inside a bzImage, without the four bytes of its size that follow it. */
export function kernelPayload(image: Buffer): Buffer {
  const start = ((image[SETUP_SECTORS] ?? 0) + 1) * 512 + image.readUInt32LE(PAYLOAD_OFFSET);
  return image.subarray(start, start + image.readUInt32LE(PAYLOAD_LENGTH) - 4);
}
