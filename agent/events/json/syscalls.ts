/** Numbers of system calls as arguments. */
import { arch } from "node:os";
import type { RecordBatch } from "../../records/decode.ts";
import { type ByteWriter, utf8 } from "../byte-writer.ts";

/** Set in the number of a call that a 32-bit program makes. */
const IS_32_BIT = 0x8000_0000;

/** Names of the 64-bit and the 32-bit calls, by Node's name of the architecture. */
const ABIS: Readonly<Record<string, readonly [string, string]>> = {
  x64: ["x64", "i386"],
  arm64: ["arm64", "arm32"],
};
const [ABI, ABI_32] = ABIS[arch()] ?? [arch(), arch()];

const OPEN = utf8('"syscall_id":{');
const ID = utf8('"id":');
const COMMA = utf8(",");
const END = [utf8(`"abi":"${ABI}"}`), utf8(`"abi":"${ABI_32}"}`)] as const;

/** syscall64; the number 0 is left out, as every plain zero in upstream's messages. */
export function writeSyscallId(out: ByteWriter, { words }: RecordBatch, at: number): void {
  const value = words[at] as number;
  const is32 = (value & IS_32_BIT) !== 0;
  const id = value & ~IS_32_BIT;
  out.bytes(OPEN);
  if (id !== 0) {
    out.bytes(ID);
    out.uint32(id);
    out.bytes(COMMA);
  }
  out.bytes(END[is32 ? 1 : 0]);
}
