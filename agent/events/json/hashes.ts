/** The hash of a file that an LSM hook was about: `"ima_hash":"sha256:..."`. */

import type { RecordBatch } from "../../records/decode.ts";
import { HASH } from "../../records/layout.ts";
import { type ByteWriter, utf8 } from "../byte-writer.ts";

/** The kernel's enum hash_algo, and bytes of a digest. */
const ALGORITHMS: readonly [name: string, bytes: number][] = [
  ["md4", 16],
  ["md5", 16],
  ["sha1", 20],
  ["rmd160", 20],
  ["sha256", 32],
  ["sha384", 48],
  ["sha512", 64],
  ["sha224", 28],
  ["rmd128", 16],
  ["rmd256", 32],
  ["rmd320", 40],
  ["wp256", 32],
  ["wp384", 48],
  ["wp512", 64],
  ["tgr128", 16],
  ["tgr160", 20],
  ["tgr192", 24],
  ["sm3", 32],
  ["streebog256", 32],
  ["streebog512", 64],
  ["sha3-256", 32],
  ["sha3-384", 48],
  ["sha3-512", 64],
];

/** `"ima_hash"` of the struct hash_value at a word index. */
export function writeHash(out: ByteWriter, batch: RecordBatch, at: number): void {
  out.bytes(utf8(`,"ima_hash":"${hashText(batch, at)}"`));
}

/** `ALGORITHM:DIGEST` of a struct hash_value; an algorithm that is not known has a number for its name. */
export function hashText({ words, bytes }: RecordBatch, at: number): string {
  const algorithm = words[at] as number;
  const [name, length] = ALGORITHMS[algorithm] ?? [`${algorithm}`, 64];
  const start = at * 4 + HASH.digest;
  const digest = Buffer.from(bytes.subarray(start, start + length)).toString("hex");
  return `${name}:${digest}`;
}
