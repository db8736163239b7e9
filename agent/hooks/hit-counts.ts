/** Who the hooks of policies in mode count have counted, as the programs write it into hit_counts. */
import type { BpfMap } from "../bpf/binding.ts";
import { COUNT_KEY } from "./config/layout.ts";

/** What a hook counted of one process. */
export interface CountedHits {
  hookId: number;
  pid: number;
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
        count: Number(count),
      },
    ];
  });
}
