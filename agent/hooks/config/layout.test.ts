import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BpfObject, loadBinding } from "../../bpf/binding.ts";
import * as layout from "./layout.ts";
import { MAX_DATA_BYTES, MAX_STRING_BYTES, VALUE_KINDS, VALUE_TYPES } from "./value-types.ts";

const root = new URL("../../../", import.meta.url).pathname;
const objectPath = `${root}build/bpf/trigon.bpf.o`;
const built = existsSync(objectPath) && existsSync(`${root}build/bpf.node`);

const STRUCTS = {
  hook_config: layout.HOOK_CONFIG,
  value_config: layout.VALUE_CONFIG,
  buffer_config: layout.BUFFER_CONFIG,
  selector_config: layout.SELECTOR_CONFIG,
  filter_config: layout.FILTER_CONFIG,
  value_range: layout.VALUE_RANGE,
  cred_hook_config: layout.CRED_HOOK_CONFIG,
  path_pattern: layout.PATH_PATTERN,
  process_state: layout.PROCESS_STATE,
  report_key: layout.REPORT_KEY,
  state_report: layout.STATE_REPORT,
  process_image: layout.PROCESS_IMAGE,
  follow_pid: layout.FOLLOW_PID,
  follow_seed: layout.FOLLOW_SEED,
  limit_key: layout.LIMIT_KEY,
  hook_stats: layout.HOOK_STATS,
  hook_counters: layout.HOOK_COUNTERS,
  action_stats: layout.ACTION_STATS,
  field_config: layout.FIELD_CONFIG,
  late_config: layout.LATE_CONFIG,
  call_key: layout.CALL_KEY,
};

describe.skipIf(!built)(
  "config layout against the BTF of the object (skipped without `npm run build`)",
  () => {
    let object: BpfObject;
    beforeAll(() => {
      object = loadBinding().openObject(objectPath);
    });
    afterAll(() => object.close());

    test.each(Object.entries(STRUCTS))(
      "struct %s has the object's size and offsets",
      (name, { size, members }) => {
        const found = object.structLayout(name);
        const offsets = Object.fromEntries(
          Object.entries(found.members).map(([member, { offset }]) => [member, offset]),
        );
        expect({ size, members }).toEqual({ size: found.size, members: offsets });
      },
    );

    test("records and payloads have the sizes that records are laid out with", () => {
      expect(object.structLayout("hook_record").size).toBe(layout.HOOK_RECORD_BYTES);
      expect(object.structLayout("call_head").size).toBe(layout.CALL_HEAD_BYTES);
      expect(object.structLayout("arg_slot").size).toBe(layout.ARG_SLOT_BYTES);
      expect(object.structLayout("cred_value").size).toBe(VALUE_TYPES.cred.room);
      expect(object.structLayout("cred_change_value").size).toBe(layout.CRED_CHANGE_BYTES);
      expect(object.structLayout("hash_value").size).toBe(layout.HASH_BYTES);
      expect(object.structLayout("text_scratch").size).toBe(layout.TEXT_SCRATCH_BYTES);
      expect(object.structLayout("cred_scratch").size).toBe(layout.CRED_SCRATCH_BYTES);
      expect(object.structLayout("user_ns_value").size).toBe(VALUE_TYPES.user_namespace.room);
    });
  },
);

describe("config layout against the headers", () => {
  const header = ["config.h", "filter.h", "substring.h"]
    .map((name) => readFileSync(`${root}bpf/include/${name}`, "utf8"))
    .join("\n");
  const headerValue = (name: string): number | undefined => {
    const text =
      new RegExp(`\\t${name} = ([0-9 <]+),`).exec(header)?.[1] ??
      new RegExp(`#define ${name} (\\d+)`).exec(header)?.[1];
    const [base = "", shift = "0"] = text?.split("<<") ?? [];
    return text === undefined ? undefined : Number(base) << Number(shift);
  };
  const constants = {
    MAX_ARGS: layout.MAX_ARGS,
    MAX_FIELDS: layout.MAX_FIELDS,
    MAX_EXPRESSION_STEPS: layout.MAX_EXPRESSION_STEPS,
    MAX_SELECTORS: layout.MAX_SELECTORS,
    MAX_FILTERS: layout.MAX_FILTERS,
    INLINE_RANGES: layout.INLINE_RANGES,
    EXE_PATH: layout.EXE_PATH,
    EXE_TAIL: layout.EXE_TAIL,
    MAX_PATTERNS: layout.MAX_PATTERNS,
    AUTOMATON_FOUND: layout.AUTOMATON_FOUND,
    CLASS_BYTES: layout.CLASS_BYTES,
    ENTRY_BYTES: layout.ENTRY_BYTES,
    ...layout.ENUMERATORS,
    ...VALUE_KINDS,
    MAX_STRING: MAX_STRING_BYTES,
    MAX_DATA: MAX_DATA_BYTES,
  };

  test.each(Object.entries(constants))("%s has the header's value", (name, value) => {
    expect(headerValue(name)).toBe(value);
  });
});
