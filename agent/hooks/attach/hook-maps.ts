/** The maps of one hook. In its program they replace the placeholders of the same name in the object. */
import type { Binding, BpfMap, CreateMapOptions } from "../../bpf/binding.ts";
import { counterSlots } from "../config/counter-slots.ts";
import type { ConfigImage } from "../config/encode.ts";
import {
  CALL_KEY,
  EXE_PATH,
  HOOK_COUNTERS,
  LIMIT_KEY,
  PATH_PATTERN,
  REPORT_KEY,
  STATE_REPORT,
  TEXT_SCRATCH_BYTES,
  VALUE_RANGE,
} from "../config/layout.ts";
import { encodePath } from "../config/path-tables.ts";

const BPF_F_NO_PREALLOC = 1 << 0;
const BPF_F_RDONLY_PROG = 1 << 7;

/** A rate limit remembers at least this many keys. */
const LIMIT_ENTRIES = 1024;
/** The kernel keeps this many entries of an LRU map free on each CPU, so a smaller map would forget at once. */
const LIMIT_ENTRIES_PER_CPU = 128;

/**
 * How many calls of a hook may be in flight at once: as many as fit into CALL_BYTES, within these bounds. Calls beyond
 * that are counted as lost.
 */
const CALL_BYTES = 64 << 10;
const MIN_CALLS = 16;
const MAX_CALLS = 1024;
/** Bytes that the kernel adds to an entry of a hash map. */
const ENTRY_OVERHEAD = 64;

/** Handles by the name of the placeholder in the object. */
export type HookMaps = Record<string, BpfMap> & {
  ".data.stats": BpfMap;
  ".data.mode": BpfMap;
  hook_calls?: BpfMap;
};

/** Creates and fills the maps of a hook; on failure none is left open. */
export function createHookMaps(bpf: Binding, image: ConfigImage): HookMaps {
  const maps: Record<string, BpfMap> = {};
  try {
    const create = (name: string, options: Omit<CreateMapOptions, "name">): BpfMap => {
      const map = bpf.createMap({ ...options, name });
      maps[name] = map;
      return map;
    };
    const stats = create(".data.stats", table(HOOK_COUNTERS.size * counterSlots(bpf.possibleCpus()), 1));
    const mode = create(".data.mode", table(4, 1));
    maps[".rodata.hook"] = createConfigMap(bpf, image.config);
    createOptional(bpf, image, create);
    return { ...maps, ".data.stats": stats, ".data.mode": mode };
  } catch (error) {
    for (const map of Object.values(maps)) map.close();
    throw error;
  }
}

/** The map with a struct hook_config. */
export function createConfigMap(bpf: Binding, config: Uint8Array): BpfMap {
  const flags = BPF_F_RDONLY_PROG;
  const map = bpf.createMap({ ...table(config.length, 1), flags, name: ".rodata.hook" });
  try {
    fillArray(map, [config]);
    return map;
  } catch (error) {
    map.close();
    throw error;
  }
}

function createOptional(
  bpf: Binding,
  image: ConfigImage,
  create: (name: string, options: Omit<CreateMapOptions, "name">) => BpfMap,
): void {
  if (image.scratchBytes > 0) {
    create("hook_scratch", {
      type: "percpu_array",
      keySize: 4,
      valueSize: image.scratchBytes,
      maxEntries: 1,
    });
  }
  if (image.rateLimited) {
    const maxEntries = Math.max(LIMIT_ENTRIES, LIMIT_ENTRIES_PER_CPU * bpf.possibleCpus());
    create("hook_limits", { type: "lru_hash", keySize: LIMIT_KEY.size, valueSize: 8, maxEntries });
  }
  if (image.callBytes > 0) {
    create("hook_calls", {
      type: "hash",
      keySize: CALL_KEY.size,
      valueSize: image.callBytes,
      maxEntries: callEntries(image.callBytes),
    });
  }
  if (image.texts) {
    create("hook_text", { type: "percpu_array", keySize: 4, valueSize: TEXT_SCRATCH_BYTES, maxEntries: 1 });
  }
  if (image.remembers) {
    const maxEntries = Math.max(LIMIT_ENTRIES, LIMIT_ENTRIES_PER_CPU * bpf.possibleCpus());
    create("hook_reports", {
      type: "lru_hash",
      keySize: REPORT_KEY.size,
      valueSize: STATE_REPORT.size,
      maxEntries,
    });
  }
  if (image.ranges.length > 0) {
    fillArray(create("hook_ranges", table(VALUE_RANGE.size, image.ranges.length)), image.ranges);
  }
  if (image.patterns.length > 0) {
    fillArray(create("hook_patterns", table(PATH_PATTERN.size, image.patterns.length)), image.patterns);
  }
  if (image.automata.length > 0) {
    fillArray(create("hook_automata", table(image.automata.length, 1)), [image.automata]);
  }
  if (image.paths.size > 0) {
    const options = {
      type: "hash",
      keySize: EXE_PATH,
      valueSize: 8,
      maxEntries: image.paths.size,
      flags: BPF_F_NO_PREALLOC, // not BPF_F_RDONLY_PROG, which would rule out Binding.useMapPrograms
    } as const;
    const map = create("hook_paths", options);
    for (const [path, filters] of image.paths) {
      map.update(encodePath(path), new Uint8Array(BigUint64Array.of(filters).buffer));
    }
    map.freeze();
  }
}

function callEntries(callBytes: number): number {
  const fit = Math.floor(CALL_BYTES / (callBytes + ENTRY_OVERHEAD));
  return Math.min(MAX_CALLS, Math.max(MIN_CALLS, fit));
}

function table(valueSize: number, maxEntries: number): Omit<CreateMapOptions, "name"> {
  return { type: "array", keySize: 4, valueSize, maxEntries };
}

/**
 * The verifier takes the content of a frozen array of one element as constants if the array has BPF_F_RDONLY_PROG. An
 * array of several elements must not have that flag: the verifier would refuse to load from it (ENOTSUPP).
 */
function fillArray(map: BpfMap, elements: readonly Uint8Array[]): void {
  for (const [index, element] of elements.entries()) {
    map.update(new Uint8Array(Uint32Array.of(index).buffer), element);
  }
  map.freeze();
}
