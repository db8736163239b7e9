import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

/** Hash of the paths, modes and contents of files and whole directories; names that `skip` matches do not count. */
export async function contentHash(root: string, paths: string[], skip: RegExp): Promise<string> {
  const hash = createHash("sha256");
  for (const path of paths) {
    for (const file of await listFiles(join(root, path), skip)) {
      const { mode } = await stat(file);
      hash.update(`${file.slice(root.length)}\0${mode & 0o111}\0`).update(await readFile(file));
    }
  }
  return hash.digest("hex").slice(0, 16);
}

async function listFiles(path: string, skip: RegExp): Promise<string[]> {
  if (skip.test(path)) return [];
  if (!(await stat(path)).isDirectory()) return [path];
  const names = (await readdir(path)).sort();
  return (await Promise.all(names.map((name) => listFiles(join(path, name), skip)))).flat();
}
