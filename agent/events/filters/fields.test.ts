import { expect, test } from "vitest";
import { credSlot, makeBatch, makeExec } from "../../records/testing/records.ts";
import { JsonEncoder } from "../json/encoder.ts";
import { FieldEncoder } from "../json/field-encoder.ts";
import { ProtobufEncoder } from "../protobuf/encoder.ts";
import { makeHit, SHELL_EXEC, setupShell } from "../testing/pipeline.ts";
import { protoJson } from "../testing/protobuf.ts";
import { compileFieldFilters, type FieldFilter } from "./fields.ts";
import { compileJsonFieldFilters } from "./json-fields.ts";

/** A process_exec and a process_kprobe after the filters, which are the same as lines of the export. */
// biome-ignore lint/suspicious/noExplicitAny: events of every shape
function filtered(filters: FieldFilter[]): any[] {
  const { pipeline, wallClock } = setupShell();
  const rewrite = compileFieldFilters(filters) ?? ((message) => message);
  const messages: Uint8Array[] = [];
  pipeline.addOutput({
    encoder: new ProtobufEncoder({ nodeName: "node-1", clock: wallClock }),
    sink: { write: (bytes) => messages.push(rewrite(bytes)), flush: async () => {} },
    perEvent: true,
  });
  const lines: Uint8Array[] = [];
  pipeline.addOutput({
    encoder: new FieldEncoder(
      new JsonEncoder({ nodeName: "node-1", clock: wallClock }),
      compileJsonFieldFilters(filters),
    ),
    sink: { write: (bytes) => lines.push(bytes.slice()), flush: async () => {} },
  });
  pipeline.handleBatch(
    makeBatch(
      makeExec({ ...SHELL_EXEC, pid: 20, parentPid: 10, argv: ["sh", 'a"b\\', "[{,}]"] }),
      makeHit([credSlot({ uid: 7, user_ns_inum: 4026531837 })]),
    ),
  );
  const events = messages.map((message) => protoJson("tetragon.GetEventsResponse", message));
  const [exec, kprobe, ...rest] = Buffer.concat(lines).toString().split("\n");
  expect([exec, kprobe].map((line) => JSON.parse(line ?? ""))).toEqual(events);
  expect(rest).toEqual([""]);
  return events;
}

test("without filters events are whole", () => {
  expect(compileFieldFilters([])).toBeUndefined();
});

test("included fields are all that an event has, beside node and time", () => {
  const [exec, kprobe] = filtered([
    { fields: "process.pid,process.binary,policy_name,args.process_credentials_arg.uid" },
  ]);
  const time = expect.any(String);
  expect(exec).toEqual({
    process_exec: { process: { pid: 20, binary: "/bin/sh" } },
    node_name: "node-1",
    time,
  });
  expect(kprobe).toEqual({
    process_kprobe: {
      process: { pid: 10, binary: "/bin/sh" },
      args: [{ process_credentials_arg: { uid: 7 } }],
      policy_name: "creds",
    },
    node_name: "node-1",
    time,
  });
});

test("excluded fields are missing, and no others", () => {
  const [whole] = filtered([]);
  const [exec] = filtered([{ fields: "process.exec_id,parent", action: "EXCLUDE" }]);
  const { exec_id: _, ...process } = whole.process_exec.process;
  expect(exec).toEqual({ ...whole, process_exec: { process } });
});

test("a filter is for its events, or for all others", () => {
  const [exec, kprobe] = filtered([
    { event_set: ["PROCESS_EXEC"], fields: "process.pid" },
    { event_set: ["PROCESS_EXEC"], invert_event_set: true, fields: "function_name" },
  ]);
  expect(exec.process_exec).toEqual({ process: { pid: 20 } });
  expect(kprobe.process_kprobe).toEqual({ function_name: "commit_creds" });
});

test("of two filters that contradict each other, exclusion holds", () => {
  const [exec] = filtered([
    { fields: "process.pid,process.binary" },
    { fields: "process.pid", action: "EXCLUDE" },
  ]);
  expect(exec.process_exec).toEqual({ process: { binary: "/bin/sh" } });
});

test("a part of a field that is included as a whole does not cut it", () => {
  const [, kprobe] = filtered([{ fields: "args,args.label" }]);
  expect(kprobe.process_kprobe.args[0].process_credentials_arg.gid).toBe(0);
});

test.each([
  [{ fields: "process.colour" }, 'field_filters[0].fields: there is no field "process.colour" in the events'],
  [{ fields: "process.pid.value.more" }, "there is no field"],
  [{ action: "MAYBE" }, 'field_filters[0].action: "MAYBE" is neither INCLUDE nor EXCLUDE'],
])("%j is refused", (filter, says) => {
  expect(() => filtered([filter])).toThrow(says);
});
