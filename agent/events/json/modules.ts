/** Kernel modules as arguments. */

import type { RecordBatch } from "../../records/decode.ts";
import { MODULE, MODULE_SIZE } from "../../records/layout.ts";
import { type ByteWriter, utf8 } from "../byte-writer.ts";

/** Reasons for a taint that have a name, by bit of struct module.taints. */
const TAINTS: Readonly<Record<number, string>> = {
  0: "TAINT_PROPRIETARY_MODULE",
  1: "TAINT_FORCED_MODULE",
  2: "TAINT_FORCED_UNLOAD_MODULE",
  10: "TAINT_STAGED_MODULE",
  12: "TAINT_OUT_OF_TREE_MODULE",
  13: "TAINT_UNSIGNED_MODULE",
  15: "TAINT_KERNEL_LIVE_PATCH_MODULE",
  18: "TAINT_TEST_MODULE",
};

const OPEN = utf8('"module_arg":{');
const NAME = utf8('"name":"');
const QUOTE = utf8('"');
const COMMA = utf8(",");
const END = utf8("}");
/** By module_value.signature_ok; the event has no field where the kernel does not know. */
const SIGNATURE = [utf8('"signature_ok":false'), utf8('"signature_ok":true')] as const;

/** module and load_info. */
export function writeModule(
  out: ByteWriter,
  { words, bytes }: RecordBatch,
  at: number,
  sizeBytes: number,
): void {
  const start = at * 4 + MODULE_SIZE;
  const name = bytes.subarray(start, at * 4 + sizeBytes);
  const nul = name.indexOf(0);
  out.bytes(OPEN);
  out.bytes(NAME);
  out.jsonText(nul < 0 ? name : name.subarray(0, nul));
  out.bytes(QUOTE);
  const signature = SIGNATURE[words[at + (MODULE.signature_ok >> 2)] as number];
  if (signature !== undefined) {
    out.bytes(COMMA);
    out.bytes(signature);
  }
  const taints = at + (MODULE.taints >> 2);
  const list = taintList(words[taints] as number, words[taints + 1] as number);
  if (list.length > 0) out.bytes(utf8(`,"tainted":${JSON.stringify(list)}`));
  out.bytes(END);
}

/** Names of the bits, lowest first; a bit without a name stands as its value. */
function taintList(low: number, high: number): (string | number)[] {
  const bits = Array.from({ length: 64 }, (_, bit) => bit);
  return bits
    .filter((bit) => ((bit < 32 ? low : high) & (1 << (bit & 31))) !== 0)
    .map((bit) => TAINTS[bit] ?? 2 ** bit);
}
