/** Who the hooks of policies in mode count have counted, as the programs write it into hit_counts. */
import type { BpfMap } from "../bpf/binding.ts";
import { COUNT_KEY } from "./config/layout.ts";

/** What a hook counted of one process while it executed one file. */
export interface CountedHits {
  hookId: number;
  pid: number;
  /** exec_seq, as in the header of records. */
  seq: number;
  count: number;
}

/** Takes all counts out of the map. A hit between the two steps of an entry is missing here, and not in the hook's sum. */
export function takeHitCounts(map: BpfMap): CountedHits[] {
  return map.keys().flatMap((key) => {
    const value = map.lookup(key);
    if (!value) return [];
    map.delete(key);
    const view = new DataView(key.buffer, key.byteOffset);
    const count = new DataView(value.buffer, value.byteOffset).getBigUint64(0, true);
    return [
      {
        hookId: view.getUint32(COUNT_KEY.members.hook_id, true),
        pid: view.getUint32(COUNT_KEY.members.pid, true),
        seq: view.getUint32(COUNT_KEY.members.exec_seq, true),
        count: Number(count),
      },
    ];
  });
}
