/** Cgroup records: a cgroup of the v2 hierarchy was made or removed. */
import { joinWords, type RecordBatch } from "./decode.ts";
import { CGROUP } from "./layout.ts";

/** A cgroup that came or went. */
export interface CgroupRecord {
  id: bigint;
  parentId: bigint;
  removed: boolean;
  /** Of its directory. */
  name: string;
}

/** Reads the record at this word. */
export function decodeCgroup({ words, bytes }: RecordBatch, at: number): CgroupRecord {
  const word = (offset: number) => words[at + (offset >> 2)] as number;
  const start = at * 4 + CGROUP.name;
  return {
    id: joinWords(word(CGROUP.cgroup_id), word(CGROUP.cgroup_id + 4)),
    parentId: joinWords(word(CGROUP.parent_id), word(CGROUP.parent_id + 4)),
    removed: word(CGROUP.removed) !== 0,
    name: Buffer.from(bytes.subarray(start, start + word(CGROUP.name_size))).toString("latin1"),
  };
}
