import { readFileSync } from "node:fs";
import { join } from "node:path";
import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import {
  makeHit,
  makeHookDef,
  parseLines,
  SHELL_EXEC,
  setupShell,
} from "../agent/events/testing/pipeline.ts";
import { CRED_FIELD_NAMES, RECORD_CRED_FAILED } from "../agent/records/layout.ts";
import { type HookFields, integerSlot, makeBatch, makeExec } from "../agent/records/testing/records.ts";
import type { ArgDef, HookDef } from "../crds/hook-spec.ts";

const TEXT = readFileSync(join(import.meta.dirname, "trigon.proto"), "utf8");

function parse(text: string): protobuf.Type[] {
  const { root, package: name = "" } = protobuf.parse(text, { keepCase: true });
  const { nestedArray } = root.lookup(name) as protobuf.Namespace;
  return nestedArray.map((message) => message as protobuf.Type);
}

const MESSAGES = new Map(parse(TEXT).map((message) => [message.name, message]));

function message(name: string): protobuf.Type {
  const found = MESSAGES.get(name);
  if (!found) throw new Error(`there is no message ${name}`);
  return found;
}

/** What upstream's messages have, by the messages that add to them. */
const UPSTREAM: Record<string, string[]> = {
  Process: words(
    "exec_id pid uid cwd binary arguments flags start_time auid pod docker parent_exec_id refcnt cap ns tid",
    "process_credentials binary_properties user in_init_tree environment_variables",
  ),
  ProcessKprobe: words(
    "process parent function_name args return action kernel_stack_trace policy_name return_action message tags",
    "user_stack_trace ancestors data",
  ),
  ProcessLsm: words("process parent function_name policy_name message args action tags ancestors ima_hash"),
  ProcessTracepoint: words("process parent subsys event args policy_name action message tags ancestors"),
};

function words(...lines: string[]): string[] {
  return lines.flatMap((line) => line.split(" "));
}

/** Messages that repeat upstream's fields, with upstream's numbers, and add to them. */
const SUPERSETS: Record<string, Record<string, number>> = {
  Credentials: {
    ...{ uid: 1, gid: 2, euid: 3, egid: 4, suid: 5, sgid: 6, fsuid: 7, fsgid: 8 },
    ...{ securebits: 9, caps: 10, user_ns: 11 },
  },
  Capabilities: { permitted: 1, effective: 2, inheritable: 3 },
};

const OWN = [
  "CredentialChange",
  "IdChange",
  "CapabilityChange",
  "SecurebitsChange",
  "UserNamespaceChange",
  "GroupsChange",
  "FlagChange",
  "KeyringsChange",
  "Groups",
  "Keyrings",
];

const FIRST_NUMBER = 20_000;

function numbers({ fieldsArray }: protobuf.Type): [name: string, number: number][] {
  return fieldsArray.map(({ name, id }) => [name, id]);
}

describe("field numbers", () => {
  test("every message is one that upstream has, a superset of one, or our own", () => {
    const known = [...Object.keys(UPSTREAM), ...Object.keys(SUPERSETS), ...OWN];
    expect([...MESSAGES.keys()].sort()).toEqual(known.sort());
  });

  test.each(Object.keys(UPSTREAM))("%s has only such as are far from upstream's", (name) => {
    const added = numbers(message(name));
    expect(added).not.toEqual([]);
    expect(added.filter(([, number]) => number < FIRST_NUMBER)).toEqual([]);
  });

  test.each(Object.entries(SUPERSETS))("%s has upstream's, and others far from them", (name, upstream) => {
    const near = numbers(message(name)).filter(([, number]) => number < FIRST_NUMBER);
    expect(Object.fromEntries(near)).toEqual(upstream);
  });

  test.each(OWN)("%s counts from 1", (name) => {
    const own = numbers(message(name));
    expect(own.map(([, number]) => number)).toEqual(own.map((_, index) => index + 1));
  });

  test("a number that is used twice in a message would not be taken", () => {
    expect(() => parse(TEXT.replace("Credentials old = 19;", "Credentials old = 1;"))).toThrow(
      "duplicate id 1",
    );
  });
});

test("every type is a message of the file, of upstream, or well known", () => {
  const others = [...MESSAGES.values()]
    .flatMap(({ fieldsArray }) => fieldsArray)
    .filter(({ type }) => !MESSAGES.has(type) && !Object.hasOwn(protobuf.types.basic, type));
  for (const { type, fullName } of others)
    expect(type, fullName).toMatch(/^(tetragon\.\w+|google\.protobuf\.(UInt32|Bool)Value)$/);
});

/** What a field's value is in JSON: enums are names, and the wrappers' values stand for themselves. */
const JSON_TYPES: Record<string, string> = {
  string: "string",
  uint32: "number",
  "google.protobuf.UInt32Value": "number",
  "google.protobuf.BoolValue": "boolean",
  "tetragon.CapabilitiesType": "string",
  "tetragon.SecureBitsType": "string",
};

/** Compares JSON with a message and what it is made of; adds every field that it meets to `met`. */
function compare(value: object, type: protobuf.Type, met: Set<string>): void {
  for (const [key, found] of Object.entries(value)) {
    if (UPSTREAM[type.name]?.includes(key)) continue;
    const field = type.fields[key];
    if (!field) throw new Error(`${type.name} has no field ${key}`);
    met.add(`${type.name}.${key}`);
    expect(Array.isArray(found), `${type.name}.${key}`).toBe(field.repeated);
    for (const item of field.repeated ? found : [found]) {
      expect(typeof item, `${type.name}.${key}`).toBe(JSON_TYPES[field.type] ?? "object");
      const inner = MESSAGES.get(field.type);
      if (inner) compare(item, inner, met);
    }
  }
}

describe("JSON", () => {
  const args: ArgDef[] = [
    { index: 0, type: "int" },
    { index: 0, type: "uint32", source: "current_task", resolve: "cred.uid.val" },
  ];
  const tracepoint = { subsystem: "syscalls", event: "sys_enter_setuid", raw: false };
  const parts = { uid: 1, securebits: 16, cap_permitted: 1n, cap_effective: 1n, cap_inheritable: 1n };
  const rest = {
    ...{ cap_bounding: 1n, cap_ambient: 1n, groups: [4], no_new_privs: 1 },
    ...{ thread_keyring: 1, process_keyring: 2, session_keyring: 3 },
  };
  const others = { ...rest, groups: [5], thread_keyring: 4, process_keyring: 5, session_keyring: 6 };
  const changed = [...CRED_FIELD_NAMES];
  const credChange = { changed, old: parts, new: parts, oldRest: rest, newRest: others };
  // what a set has lost, it had
  const lost = { ...credChange, new: { ...parts, cap_permitted: 2n } };
  const extras: Partial<HookFields> = { returned: integerSlot(0), kernelStack: [1n], userStack: [2n] };

  /** The members of the only event of a hit; empty for an event of another kind. */
  function bodyOf(kind: string, def: Partial<HookDef>, changes: Partial<HookFields>): object {
    const hook = makeHookDef({ ...def, args, returnArg: { type: "int" } });
    const { pipeline, sink } = setupShell(hook, { credentialChange: "full" });
    pipeline.handleBatch(makeBatch(makeHit([integerSlot(1), integerSlot(2)], changes)));
    return parseLines(sink.takeLines())[0][kind] ?? {};
  }

  function labelledProcess(): object {
    const proc = { read: () => undefined, isAlive: () => true, securityLabel: () => "unconfined" };
    const { pipeline, sink } = setupShell(makeHookDef(), { cache: { proc } });
    pipeline.handleBatch(makeBatch(makeExec({ ...SHELL_EXEC, pid: 11 })));
    return parseLines(sink.takeLines())[0].process_exec.process;
  }

  test("has the fields of the messages, each of them, and no others", () => {
    const met = new Set<string>();
    const lsm = { section: "lsmhooks", call: "capset" } as const;
    const event = { section: "tracepoints", call: "syscalls/sys_enter_setuid", tracepoint } as const;
    compare(labelledProcess(), message("Process"), met);
    compare(bodyOf("process_kprobe", {}, { ...extras, credChange: lost }), message("ProcessKprobe"), met);
    compare(bodyOf("process_lsm", lsm, { ...extras, credChange }), message("ProcessLsm"), met);
    compare(bodyOf("process_tracepoint", event, extras), message("ProcessTracepoint"), met);
    const unread = { credChange: {}, flags: RECORD_CRED_FAILED };
    compare(bodyOf("process_kprobe", {}, unread), message("ProcessKprobe"), met);
    const all = [...MESSAGES.values()].flatMap(({ name, fieldsArray }) =>
      fieldsArray.map((field) => `${name}.${field.name}`),
    );
    expect([...met].sort()).toEqual(all.sort());
  });
});
