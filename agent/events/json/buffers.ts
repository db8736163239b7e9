/** Buffers of memory as arguments. */

import type { RecordBatch } from "../../records/decode.ts";
import { BUFFER, BUFFER_SIZE } from "../../records/layout.ts";
import { type ByteWriter, utf8 } from "../byte-writer.ts";

const BYTES = utf8('"bytes_arg":"');
const TRUNCATED = utf8('"truncated_bytes_arg":{"bytes_arg":"');
const ORIGINAL_SIZE = utf8('","orig_size":"');
const END_TRUNCATED = utf8('"}');
const STRING = utf8('"string_arg":"');
const QUOTE = utf8('"');

/** char_buf: base64. A buffer that was not read to its end has its size beside it. */
export function writeDataBuffer(out: ByteWriter, batch: RecordBatch, at: number, sizeBytes: number): void {
  const [low, high] = originalSize(batch, at);
  const content = contentOf(batch, at, sizeBytes);
  if (high === 0 && low <= content.length) {
    out.bytes(BYTES);
    out.base64(content);
    out.bytes(QUOTE);
    return;
  }
  out.bytes(TRUNCATED);
  out.base64(content);
  out.bytes(ORIGINAL_SIZE);
  out.uint64(low, high);
  out.bytes(END_TRUNCATED);
}

/** const_buf: a string without the zeros behind it. */
export function writeConstBuffer(out: ByteWriter, batch: RecordBatch, at: number, sizeBytes: number): void {
  const content = contentOf(batch, at, sizeBytes);
  let end = content.length;
  while (end > 0 && content[end - 1] === 0) end--;
  out.bytes(STRING);
  out.jsonText(content.subarray(0, end));
  out.bytes(QUOTE);
}

function originalSize({ words }: RecordBatch, at: number): [low: number, high: number] {
  const word = at + (BUFFER.size >> 2);
  return [words[word] as number, words[word + 1] as number];
}

function contentOf({ bytes }: RecordBatch, at: number, sizeBytes: number): Uint8Array {
  return bytes.subarray(at * 4 + BUFFER_SIZE, at * 4 + sizeBytes);
}
