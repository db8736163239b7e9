import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { errorText } from "../../../lib/logger.ts";
import { ENUMERATORS as E } from "../config/layout.ts";
import { makeHook } from "../testing/hooks.ts";
import { parseFormat, readTraceEvent, resolveFields, syscallFields } from "./trace-events.ts";

const FORMAT = `name: sched_process_exec
ID: 311
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:__data_loc char[] filename;	offset:8;	size:4;	signed:0;
	field:pid_t pid;	offset:12;	size:4;	signed:1;
	field:char comm[16];	offset:16;	size:16;	signed:0;
	field:const char * name;	offset:32;	size:8;	signed:0;
	field:unsigned long bits;	offset:40;	size:8;	signed:0;

print fmt: "filename=%s pid=%d", __get_str(filename), REC->pid
`;

const event = { subsystem: "sched", event: "sched_process_exec", fields: parseFormat(FORMAT) };

test("fields keep their place, size and kind", () => {
  const shown = event.fields.map(({ name, type, offset, size, kind }) => [name, type, offset, size, kind]);
  expect(shown.slice(3)).toEqual([
    ["common_pid", "int", 4, 4, E.FIELD_SIGNED],
    ["filename", "__data_loc char[]", 8, 4, E.FIELD_DATA_LOC],
    ["pid", "pid_t", 12, 4, E.FIELD_SIGNED],
    ["comm", "char[16]", 16, 16, E.FIELD_ARRAY],
    ["name", "const char *", 32, 8, E.FIELD_UNSIGNED],
    ["bits", "unsigned long", 40, 8, E.FIELD_UNSIGNED],
  ]);
});

describe("an event that the kernel does not have", () => {
  const tracefs = mkdtempSync(join(tmpdir(), "tracefs-"));
  mkdirSync(join(tracefs, "events/sched/sched_process_exec"), { recursive: true });
  mkdirSync(join(tracefs, "events/task/task_rename"), { recursive: true });
  writeFileSync(join(tracefs, "events/sched/sched_process_fork"), "a file like `enable`");
  afterAll(() => rmSync(tracefs, { recursive: true }));

  test.each([
    ["sched", "sched_proces_exec", ': did you mean "sched_process_exec"?'],
    ["schedd", "sched_process_exec", ': did you mean "sched"?'],
    ["sched", "sched_process_fork_", ""],
    ["nothing", "like_it", ""],
  ])("%s/%s is not found, with what was meant", (subsystem, name, hint) => {
    const read = () => readTraceEvent(tracefs, subsystem, name);
    expect(read).toThrow(expect.objectContaining({ reason: "FunctionNotFound" }));
    expect(textOf(read)).toBe(`this kernel has no tracepoint ${subsystem}/${name}${hint}`);
  });
});

test("arguments of a system call's event are the fields behind its number", () => {
  expect(syscallFields(event)[0]).toMatchObject({ name: "pid" });
});

const types: Record<string, [index: number, type: string]> = {
  "text behind the event": [4, "string"],
  "a signed number": [5, "int32"],
  "text in the event": [6, "string"],
  "a pointer to text": [7, "string"],
  "an unsigned number": [8, "uint64"],
};

describe("auto", () => {
  test.each(Object.entries(types))("is the type of %s", (_name, [index, type]) => {
    const def = makeHook({ section: "tracepoints", args: [{ index, type: "auto" }] });
    const resolved = resolveFields(def, event);
    expect(resolved.types).toEqual([type]);
    expect(resolved.def.args[0]?.index).toBe(0);
    expect(resolved.fields).toEqual([event.fields[index]]);
  });
});

test("an address of a structure is no number", () => {
  const fields = parseFormat("\tfield:const struct cred * cred;\toffset:8;\tsize:8;\tsigned:0;\n");
  const def = makeHook({ section: "tracepoints", args: [{ index: 0, type: "uint64" }] });
  expect(() => resolveFields(def, { subsystem: "capability", event: "cap_capable", fields })).toThrow(
    /type uint64 does not fit field 0 of capability\/cap_capable, .* cred: it is an address: name the type/,
  );
});

test("a number may be the address of a text", () => {
  const def = makeHook({ section: "tracepoints", args: [{ index: 8, type: "string" }] });
  expect(resolveFields(def, event).types).toEqual(["string"]);
});

const refused: Record<string, [index: number, type: "int" | "string" | "cred", says: RegExp]> = {
  "a field that is not there": [9, "int", /no field 9 in sched\/sched_process_exec; it has 0 common_type, /],
  "a common field": [3, "int", /programs cannot read field 3 of .*, common_pid/],
  "a number as a structure": [8, "cred", /type cred does not fit field 8 of .*, unsigned long bits/],
  "text as a structure": [7, "cred", /type cred does not fit field 7 of .*, const char \* name/],
  "less than an address as text": [5, "string", /type string does not fit field 5 of .*, pid_t pid/],
  "text as a number": [6, "int", /type int does not fit field 6 of .*, char\[16\] comm: write string/],
};

describe("a tracepoint's argument is refused", () => {
  test.each(Object.entries(refused))("for %s", (_name, [index, type, says]) => {
    const def = makeHook({ section: "tracepoints", args: [{ index, type }] });
    expect(() => resolveFields(def, event)).toThrow(says);
  });
});

/** What the status of a policy shows of the error. */
function textOf(call: () => void): string {
  try {
    call();
  } catch (error) {
    return errorText(error);
  }
  return "";
}
