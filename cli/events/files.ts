/** Files with exported events, also those that a rotation has compressed. */
import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";

/** Text of a file; errors of the file, too, come from what is returned. */
export function openEvents(file: string): Readable {
  const input = createReadStream(file);
  if (!file.endsWith(".gz")) return input;
  const text = createGunzip();
  input.once("error", (error) => text.destroy(error));
  return input.pipe(text);
}
