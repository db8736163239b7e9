/** What a hook's definition becomes in the kernel: the bytes of struct hook_config and of the hook's maps. Pure. */
import type { HookDef, SelectorDef } from "../../crds/hook-spec.ts";
import {
  ARG_SLOT_BYTES,
  ENUMERATORS as E,
  HOOK_CONFIG,
  HOOK_RECORD_BYTES,
  MAX_ARGS,
  MAX_FILTERS,
  MAX_SELECTORS,
  SELECTOR_CONFIG,
  VALUE_CONFIG,
  VALUE_RANGE,
} from "./config-layout.ts";
import { encodeFilter, type Resolution, type Tables } from "./filter-config.ts";
import { HookError } from "./hook-error.ts";
import { PathTables } from "./path-tables.ts";
import { RangeTables, type UnsignedRange } from "./ranges.ts";
import { type ValueType, valueType } from "./values.ts";

/** Everything that the hook's own maps hold. */
export interface ConfigImage {
  /** struct hook_config. */
  config: Uint8Array;
  /** Elements of hook_ranges. */
  ranges: Uint8Array[];
  /** Entries of hook_paths. */
  paths: ReadonlyMap<string, bigint>;
  /** Elements of hook_patterns. */
  patterns: readonly Uint8Array[];
  /** Size of the hook's scratch value; 0 when records are built in the ring. */
  scratchBytes: number;
  rateLimited: boolean;
}

/** Room behind the last string: two bytes more are read to see whether it was cut, and 8 zeros end it. */
const SCRATCH_SLACK = 16;

const SCOPES = { thread: E.LIMIT_THREAD, process: E.LIMIT_PROCESS, global: E.LIMIT_GLOBAL } as const;

/** Throws a HookError that names the limit where the definition exceeds one. */
export function encodeConfig(def: HookDef, resolution: Resolution): ConfigImage {
  checkCount("args", def.args.length, MAX_ARGS);
  checkCount("selectors", def.selectors.length, MAX_SELECTORS);
  checkCount(
    "filters in all selectors",
    def.selectors.flatMap((selector) => selector.filters).length,
    MAX_FILTERS,
  );

  const rateLimited = def.selectors.some((selector) => rateLimitOf(selector) !== undefined);
  const scratch = rateLimited || argTypes(def).some((type) => type.varies);
  const recordBytes = argTypes(def).reduce(
    (sum, type) => sum + ARG_SLOT_BYTES + type.room,
    HOOK_RECORD_BYTES,
  );

  const config = new Uint8Array(HOOK_CONFIG.size);
  const view = new DataView(config.buffer);
  const at = HOOK_CONFIG.members;
  view.setUint32(at.hook_id, resolution.hookId, true);
  view.setUint32(at.flags, (def.syscall ? E.HOOK_SYSCALL : 0) | (scratch ? E.HOOK_SCRATCH : 0), true);
  view.setUint32(at.record_size, recordBytes, true);
  view.setUint16(at.args, def.args.length, true);
  view.setUint16(at.selectors, def.selectors.length, true);
  view.setBigUint64(at.limit_seed, resolution.limitSeed[0], true);
  view.setBigUint64(at.limit_seed + 8, resolution.limitSeed[1], true);
  encodeArgs(view, def);

  const tables: Tables = { ranges: new RangeTables(), paths: new PathTables() };
  encodeSelectors(view, def, resolution, tables);
  for (const [index, range] of tables.ranges.inline.entries()) {
    encodeRange(view, at.range + index * VALUE_RANGE.size, range);
  }
  return {
    config,
    ranges: tables.ranges.many.map(rangeBytes),
    paths: tables.paths.paths,
    patterns: tables.paths.patterns,
    scratchBytes: scratch ? recordBytes + SCRATCH_SLACK : 0,
    rateLimited,
  };
}

function argTypes(def: HookDef): ValueType[] {
  return def.args.map((arg) => valueType(arg.type));
}

function encodeArgs(view: DataView, def: HookDef): void {
  def.args.forEach((arg, index) => {
    const type = valueType(arg.type);
    const base = HOOK_CONFIG.members.arg + index * VALUE_CONFIG.size;
    const { kind, parameter, width, flags } = VALUE_CONFIG.members;
    view.setUint8(base + kind, type.kind);
    view.setUint8(base + parameter, arg.index);
    view.setUint8(base + width, type.width);
    view.setUint8(base + flags, (type.signed ? E.VALUE_SIGNED : 0) | (def.syscall ? E.VALUE_USER : 0));
  });
}

function encodeSelectors(view: DataView, def: HookDef, resolution: Resolution, tables: Tables): void {
  let next = 0;
  def.selectors.forEach((selector, index) => {
    const base = HOOK_CONFIG.members.selector + index * SELECTOR_CONFIG.size;
    const { first_filter, filters, flags, limit_scope, limit_ns } = SELECTOR_CONFIG.members;
    const limit = rateLimitOf(selector);
    view.setUint16(base + first_filter, next, true);
    view.setUint16(base + filters, selector.filters.length, true);
    view.setUint16(base + flags, isSilent(selector) ? E.SELECTOR_NO_POST : 0, true);
    view.setUint16(base + limit_scope, limit ? SCOPES[limit.scope] : E.LIMIT_NONE, true);
    view.setBigUint64(base + limit_ns, BigInt(limit?.intervalMs ?? 0) * 1_000_000n, true);
    for (const filter of selector.filters) encodeFilter(view, next++, filter, { def, resolution, tables });
  });
}

function isSilent(selector: SelectorDef): boolean {
  return selector.actions.some((action) => action.action === "NoPost");
}

function rateLimitOf(selector: SelectorDef) {
  for (const action of selector.actions) {
    if (action.action === "Post" && action.rateLimit) return action.rateLimit;
  }
  return undefined;
}

function encodeRange(view: DataView, at: number, [low, high]: UnsignedRange): void {
  view.setBigUint64(at + VALUE_RANGE.members.low, low, true);
  view.setBigUint64(at + VALUE_RANGE.members.high, high, true);
}

function rangeBytes(range: UnsignedRange): Uint8Array {
  const bytes = new Uint8Array(VALUE_RANGE.size);
  encodeRange(new DataView(bytes.buffer), 0, range);
  return bytes;
}

function checkCount(what: string, count: number, limit: number): void {
  if (count > limit) {
    throw new HookError("InvalidArgument", `the hook has ${count} ${what}, at most ${limit} are possible`);
  }
}
