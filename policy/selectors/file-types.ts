/** The operators FileType and NotFileType. */
import type { FileType } from "../../crds/hook-spec.ts";
import { child } from "../problems.ts";
import { didYouMean, quote } from "../suggest.ts";
import type { Where } from "./values.ts";

/** Names of each type: ours first, then those of stat(1), find(1) and the kernel. */
const NAMES: Record<FileType, string[]> = {
  regular: ["regular", "reg", "file", "s_ifreg"],
  directory: ["directory", "dir", "s_ifdir"],
  symlink: ["symlink", "link", "lnk", "s_iflnk"],
  socket: ["socket", "sock", "s_ifsock"],
  fifo: ["fifo", "pipe", "s_ififo"],
  block: ["block", "blk", "s_ifblk"],
  character: ["character", "char", "chr", "s_ifchr"],
};

/** The comparison; undefined when an error was reported. */
export function fileTypeFilter(
  values: string[],
  { operator, path, problems }: Where,
): { negate: boolean; compare: "fileType"; types: FileType[] } | undefined {
  const types = new Set<FileType>();
  let failed = false;
  for (const [index, value] of values.entries()) {
    const type = typeOf(value);
    if (type) types.add(type);
    else {
      const known = Object.keys(NAMES);
      const hint = didYouMean(value, known) || `: must be ${known.join(", ")}`;
      problems.error(child(path, index), `${quote(value)} is not a type of file${hint}`);
      failed = true;
    }
  }
  if (failed) return undefined;
  return { negate: operator.startsWith("Not"), compare: "fileType", types: [...types] };
}

function typeOf(text: string): FileType | undefined {
  const name = text.toLowerCase();
  return (Object.keys(NAMES) as FileType[]).find((type) => NAMES[type].includes(name));
}
