/** Files as arguments: path, how complete it is, and mode. */

import type { RecordBatch } from "../../records/decode.ts";
import { PATH, PATH_SIZE, WALK_FAILED, WALK_TRUNCATED } from "../../records/layout.ts";
import { type ByteWriter, utf8 } from "../byte-writer.ts";

type Write = (out: ByteWriter, batch: RecordBatch, at: number, sizeBytes: number) => void;

/** file and fd. */
export const writeFile: Write = fileWriter("file_arg");
/** path and dentry. */
export const writePath: Write = fileWriter("path_arg");
/** linux_binprm: the file that is executed. */
export const writeBinprm: Write = fileWriter("linux_binprm_arg");

const PATH_KEY = utf8('"path":"');
const PATH_END = utf8('",');
/** A path whose beginning, or everything but its end, is missing. */
const INCOMPLETE = utf8('"flags":"unresolvedPathComponents",');
const END = utf8('"}');

/** Fields without a value are left out; the permission always has one. */
function fileWriter(field: string): Write {
  const open = utf8(`"${field}":{`);
  return (out, { words, bytes }, at, sizeBytes) => {
    out.bytes(open);
    if (sizeBytes > PATH_SIZE) {
      out.bytes(PATH_KEY);
      out.jsonText(bytes.subarray(at * 4 + PATH_SIZE, at * 4 + sizeBytes));
      out.bytes(PATH_END);
    }
    const flags = words[at + (PATH.flags >> 2)] as number;
    if ((flags & (WALK_TRUNCATED | WALK_FAILED)) !== 0) out.bytes(INCOMPLETE);
    out.bytes(permissionFragment(words[at + (PATH.mode >> 2)] as number));
    out.bytes(END);
  };
}

const fragments = new Map<number, Uint8Array>();

function permissionFragment(mode: number): Uint8Array {
  const key = mode & 0xffff;
  let fragment = fragments.get(key);
  if (fragment === undefined) {
    fragment = utf8(`"permission":"${permissionText(key)}`);
    fragments.set(key, fragment);
  }
  return fragment;
}

/** Letter of a file type by i_mode >> 12. */
const TYPES = "?pc?d?b?-?l?s???";
const RIGHTS = "rwxrwxrwx";

/** i_mode as `ls -l` prints it: `-rwsr-xr-x`. */
export function permissionText(mode: number): string {
  const letters = [...RIGHTS].map((letter, i) => ((mode & (0o400 >> i)) !== 0 ? letter : "-"));
  for (const [bit, place, letter] of [
    [0o4000, 2, "s"],
    [0o2000, 5, "s"],
    [0o1000, 8, "t"],
  ] as const) {
    if ((mode & bit) !== 0) letters[place] = letters[place] === "x" ? letter : letter.toUpperCase();
  }
  return TYPES.charAt((mode >> 12) & 15) + letters.join("");
}
