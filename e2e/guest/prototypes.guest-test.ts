/**
 * The prototypes, members and fields that policies are checked with before any node sees them are those of this kernel.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/prototypes.guest-test.ts
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { release } from "node:os";
import { after, before, test } from "node:test";
import { type FuncProto, type KernelBtf, loadBinding } from "../../agent/bpf/binding.ts";
import { ENUMERATORS } from "../../agent/hooks/config/layout.ts";
import { type EventField, readTraceEvent } from "../../agent/hooks/targets/trace-events.ts";
import type { KernelTypes } from "../../policy/members/kernel-types.ts";
import { NotRecordedError, RecordedTypes } from "../../policy/members/recorded-types.ts";
import { STRUCTURES } from "../../policy/members/structures.gen.ts";
import type { Prototype } from "../../policy/probes/prototype.ts";
import {
  EVENT_FIELDS,
  FUNCTION_PROTOTYPES,
  LSM_PROTOTYPES,
  RECORDED_KERNELS,
  TRACEPOINT_PROTOTYPES,
} from "../../policy/probes/prototypes.gen.ts";
import { COMMON_FIELDS } from "../../policy/probes/recorded-fields.ts";

const series = /^\d+\.\d+/.exec(release())?.[0] ?? "";
const place = (RECORDED_KERNELS as readonly string[]).indexOf(series);
const bit = 1 << place;
const skip = place < 0 && `the table has no kernel ${series}: npm run generate -- prototypes`;

let btf: KernelBtf;
before(() => {
  btf = loadBinding().loadKernelBtf();
});
after(() => btf.close());

/** Parameters that an argument type could be compared with; functions as parameters are spelt in other ways. */
const comparable = (parameters: readonly string[]) => parameters.filter((text) => !text.includes("("));

function recorded(rows: readonly Prototype[]): string[] | undefined {
  const row = rows.find(([kernels]) => kernels & bit);
  return row && comparable(row[2].map((text) => (/^void \*/.test(text) ? "(" : text)));
}

function found(proto: FuncProto | undefined): string[] | undefined {
  return (
    proto &&
    comparable(
      proto.params.map(({ type, name: parameter }) => {
        if (/^void \*/.test(type)) return "(";
        return type.endsWith("*") || parameter === "" ? `${type}${parameter}` : `${type} ${parameter}`;
      }),
    )
  );
}

for (const [what, table, read] of [
  ["functions", FUNCTION_PROTOTYPES, (name: string) => btf.funcProto(name)],
  ["LSM hooks", LSM_PROTOTYPES, (name: string) => btf.funcProto(`bpf_lsm_${name}`)],
  ["raw tracepoints", TRACEPOINT_PROTOTYPES, (name: string) => btf.tracepointProto(name)],
] as const) {
  test(`of ${what}`, { skip }, () => {
    const differing = Object.entries(table).flatMap(([name, rows]) => {
      const [table, kernel] = [recorded(rows), found(read(name))].map((each) => each?.join(", "));
      return table === kernel ? [] : [`${name}: recorded (${table}), the kernel has (${kernel})`];
    });
    assert.deepEqual(differing, []);
  });
}

test("of trace events, field by field", { skip }, () => {
  const tracefs = loadBinding().tracefsPath();
  for (const [name, rows] of Object.entries(EVENT_FIELDS)) {
    const [, fields = [], shapes = ""] = rows.find(([kernels]) => kernels & bit) ?? [];
    const recorded = fields.map((field, n) => `${/\w+$/.exec(field)?.[0]} ${shapes[n]}`);
    const [subsystem = "", event = ""] = name.split("/");
    const path = `${tracefs}/events/${name}/format`;
    const own = existsSync(path) ? readTraceEvent(tracefs, subsystem, event).fields.slice(COMMON_FIELDS) : [];
    const isInside = ({ kind }: EventField) =>
      kind !== ENUMERATORS.FIELD_SIGNED && kind !== ENUMERATORS.FIELD_UNSIGNED;
    const found = own.map((field) => `${field.name} ${isInside(field) ? "i" : field.size}`);
    assert.deepEqual(recorded, found, name);
  }
});

/** A type in words; a structure with a name of its own by this name. */
function spell(types: KernelTypes, id: number): string {
  const type = types.describeType(id);
  switch (type.kind) {
    case "integer":
      return `${type.signed ? "-" : ""}${type.size}`;
    case "pointer":
      return `*${spell(types, type.target)}`;
    case "array":
      return `[${type.count}]${spell(types, type.target)}`;
    case "struct":
      return type.name || `{${membersOf(types, id).join(", ")}}`;
    case "other":
      return "";
  }
}

/** Each member of a structure with its type, in the order of the names. */
function membersOf(types: KernelTypes, id: number): string[] {
  const type = types.describeType(id);
  if (type.kind !== "struct") return [];
  return type.members
    .map(({ name, bitSize, type: member }) => `${name}:${bitSize} ${spell(types, member)}`)
    .sort();
}

test("of structures, member by member", { skip }, () => {
  const types = new RecordedTypes(place);
  const names = Object.keys(STRUCTURES).filter((key) => !key.startsWith("{"));
  const found = names.filter((name) => types.structId(name) !== undefined);
  assert.ok(found.includes("cred") && found.includes("task_struct"));
  for (const name of names) {
    const [recorded, kernel] = [types, btf].map((each) => {
      const id = each.structId(name);
      return id === undefined ? [] : membersOf(each, id);
    });
    assert.deepEqual(recorded, kernel, name);
  }
});

test("of a structure that is not recorded, members are not known", () => {
  const types = new RecordedTypes(Math.max(place, 0));
  assert.equal(types.structId("list_head"), undefined);
  const cgroup = types.describeType(types.structId("cgroup") ?? 0);
  assert.equal(cgroup.kind, "struct");
  const self = cgroup.kind === "struct" && cgroup.members.find(({ name }) => name === "self");
  assert.ok(self);
  const type = types.describeType(self.type);
  assert.equal(type.kind, "struct");
  assert.throws(() => type.kind === "struct" && type.members, NotRecordedError);
});
