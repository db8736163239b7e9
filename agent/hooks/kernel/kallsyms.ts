/** /proc/kallsyms, read piece by piece: as one text of ten megabytes it makes the collector of garbage work for it. */
import { closeSync, openSync, readSync } from "node:fs";

const PIECE_BYTES = 64 << 10;

/** The file's text in pieces of whole lines. Throws as opening and reading do. */
export function* readPieces(path: string): Generator<string, void, undefined> {
  const buffer = Buffer.allocUnsafe(PIECE_BYTES);
  const file = openSync(path, "r");
  try {
    let kept = 0;
    for (;;) {
      const read = readSync(file, buffer, kept, buffer.length - kept, null);
      if (read === 0) break;
      const filled = kept + read;
      const end = buffer.lastIndexOf("\n", filled - 1) + 1;
      if (end > 0) yield buffer.toString("latin1", 0, end);
      kept = buffer.copy(buffer, 0, end, filled);
    }
    if (kept > 0) yield buffer.toString("latin1", 0, kept);
  } finally {
    closeSync(file);
  }
}

/** Functions among the lines `ADDRESS TYPE NAME [MODULE]`. */
export function* functionsOf(piece: string): Generator<string, void, undefined> {
  for (const match of piece.matchAll(/^[0-9a-f]+ [tTwW] (\S+)/gm)) yield match[1] as string;
}

/** Entry points of system calls among the lines `ADDRESS TYPE NAME`, each with its address. */
export function* entriesOf(piece: string): Generator<[name: string, address: string], void, undefined> {
  const lines = piece.matchAll(/^([0-9a-f]+) [tTwW] (__(?:x64|ia32|x32)_(?:compat_)?sys_\w+)$/gm);
  for (const [, address = "", name = ""] of lines) yield [ownText(name), ownText(address)];
}

/** A part of a string keeps the whole in memory. */
function ownText(part: string): string {
  return Buffer.from(part, "latin1").toString("latin1");
}
