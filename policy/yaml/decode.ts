/** Bytes of a file to text. Pure. */
import { Buffer, isUtf8 } from "node:buffer";
import type { PolicyError } from "../problems.ts";

const LINE_FEED = 0x0a;

/** The text, or where the first byte stands that is none: read leniently, a pattern would change and match nothing. */
export function decodeUtf8(bytes: Uint8Array): { text: string } | { error: PolicyError } {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isUtf16(file))
    return { error: { path: "", message: "is UTF-16: save it as UTF-8", line: 1, column: 1 } };
  if (isUtf8(file)) return { text: file.toString("utf8") };
  return { error: { path: "", message: "is not UTF-8: save it as UTF-8", ...firstBroken(file) } };
}

/** By its byte order mark or, without one, by the zeros of plain letters: what editors and shells of Windows write. */
function isUtf16([first, second]: Uint8Array): boolean {
  if (first === undefined || second === undefined) return false;
  return (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff) || first * second === 0;
}

/** No sequence of bytes reaches over the end of a line. */
function firstBroken(file: Buffer): { line: number; column: number } {
  let line = 1;
  let start = 0;
  for (;;) {
    const end = file.indexOf(LINE_FEED, start);
    const bytes = end < 0 ? file.subarray(start) : file.subarray(start, end);
    if (end < 0 || !isUtf8(bytes)) return { line, column: firstReplaced(bytes) };
    start = end + 1;
    line++;
  }
}

/** A U+FFFD that stands in the file is no mistake: only those that decoding put in count. */
function firstReplaced(line: Buffer): number {
  const text = line.toString("utf8");
  for (let at = text.indexOf("\ufffd"); at >= 0; at = text.indexOf("\ufffd", at + 1)) {
    const before = Buffer.byteLength(text.slice(0, at));
    if (!line.subarray(before).toString("latin1").startsWith("\xef\xbf\xbd")) return at + 1;
  }
  return 1;
}
