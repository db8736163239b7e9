import { describe, expect, test } from "vitest";
import type { PodObject } from "../../pods/pod-object.ts";
import { PodStore } from "../../pods/pod-store.ts";
import { credSlot, makeBatch, makeExec, makeExit } from "../../records/testing/records.ts";
import type { Output } from "../outputs.ts";
import { ProtobufEncoder } from "../protobuf/encoder.ts";
import { makeHit, makeHookDef, SHELL_EXEC, setupShell } from "../testing/pipeline.ts";
import { celCompiler } from "./cel.ts";
import { compileFilters } from "./compile.ts";
import type { Filter } from "./filter.ts";

const CONTAINER = "c".repeat(64);
const POD: PodObject = {
  metadata: { name: "web-1", namespace: "shop", uid: "u", labels: { app: "web", tier: "front" } },
  spec: {
    containers: [{ name: "main", livenessProbe: { exec: { command: ["/bin/probe", "-x"] } } }],
  },
  status: {
    podIP: "10.0.0.1",
    containerStatuses: [{ name: "main", containerID: `containerd://${CONTAINER}`, image: "i", imageID: "j" }],
  },
} as unknown as PodObject;
const CGROUP = `/kubepods.slice/kubepods-podu.slice/cri-containerd-${CONTAINER}.scope`;

/** What each event of the scenario is called. */
const EVENTS = {
  "host exec": makeExec({
    ...SHELL_EXEC,
    pid: 20,
    parentPid: 10,
    ktimeNs: 21_000_000n,
    filename: "/usr/bin/id",
    argv: ["id", "--user"],
    cred: { cap_effective: 1n << 21n },
  }),
  "pod exec": makeExec({
    ...SHELL_EXEC,
    pid: 30,
    parentPid: 20,
    ktimeNs: 22_000_000n,
    filename: "/app/server",
    argv: ["server", "--port", "80"],
    cgroup: CGROUP,
    nspid: 1,
    cred: { cap_effective: 3n },
  }),
  "probe exec": makeExec({
    ...SHELL_EXEC,
    pid: 40,
    parentPid: 10,
    ktimeNs: 23_000_000n,
    filename: "/bin/probe",
    argv: ["/bin/probe", "-x"],
    cgroup: CGROUP,
    nspid: 9,
  }),
  hit: makeHit([credSlot({ uid: 7 })]),
  exit: makeExit({ pid: 20, ktimeNs: 40_000_000n, seq: 1, code: 0 }),
};
type EventName = keyof typeof EVENTS;

/** Names of the events that pass. */
function passing(allow: Filter[], deny: Filter[] = []): EventName[] {
  const store = new PodStore();
  const options = { credentials: true };
  const { pipeline, wallClock } = setupShell(makeHookDef(), {
    store,
    cache: { keepCredentials: true },
    processFields: options,
  });
  store.put(POD);
  const encoder = new ProtobufEncoder({ nodeName: "node-1", clock: wallClock, process: options });
  const filter = compileFilters(allow, deny, celCompiler(encoder));
  let passed = 0;
  const sink: Output["sink"] = { write: () => passed++, flush: async () => {} };
  pipeline.addOutput({ ...(filter && { filter }), encoder, sink, perEvent: true });
  return (Object.keys(EVENTS) as EventName[]).filter((name) => {
    const before = passed;
    pipeline.handleBatch(makeBatch(EVENTS[name]));
    return passed > before;
  });
}

const ALL = Object.keys(EVENTS) as EventName[];
const cases: Record<string, { allow?: Filter[]; deny?: Filter[]; want: EventName[] }> = {
  "no filter lets everything pass": { want: ALL },
  "an empty filter matches everything": { allow: [{}], want: ALL },
  "an empty list is no condition": { allow: [{ binary_regex: [], pid: [] }], want: ALL },
  "a filter that is denied wins": {
    allow: [{}],
    deny: [{ event_set: ["PROCESS_EXEC"] }],
    want: ["hit", "exit"],
  },
  "filters of a list are alternatives": {
    allow: [{ pid: [30] }, { event_set: ["PROCESS_EXIT"] }],
    want: ["pod exec", "exit"],
  },
  "fields of a filter all have to match": {
    allow: [{ pid: [20], event_set: ["PROCESS_EXIT", "PROCESS_KPROBE"] }],
    want: ["exit"],
  },
  "event types by number": { allow: [{ event_set: [9] }], want: ["hit"] },
  "a binary by a pattern that is found anywhere": {
    allow: [{ binary_regex: ["bin/s", "^/app"] }],
    want: ["pod exec", "hit"],
  },
  "RE2 syntax that JavaScript does not have": {
    allow: [{ binary_regex: ["(?i)^/USR/BIN/ID\\z"] }],
    want: ["host exec", "exit"],
  },
  arguments: { allow: [{ arguments_regex: ["^--user$"] }], want: ["host exec", "exit"] },
  "the parent's binary": { allow: [{ parent_binary_regex: ["/id$"] }], want: ["pod exec"] },
  "the parent's arguments": { allow: [{ parent_arguments_regex: ["--user"] }], want: ["pod exec"] },
  "an ancestor's binary, beyond the parent": {
    allow: [{ ancestor_binary_regex: ["^/bin/sh$"] }],
    want: ["pod exec"],
  },
  "the namespace of a pod": { allow: [{ namespace: ["shop"] }], want: ["pod exec", "probe exec"] },
  "no pod at all": { allow: [{ namespace: [""] }], want: ["host exec", "hit", "exit"] },
  "a namespace by a pattern": { allow: [{ namespace_regex: ["^sh"] }], want: ["pod exec", "probe exec"] },
  "a pod by a pattern": { allow: [{ pod_regex: ["^web-\\d$"] }], want: ["pod exec", "probe exec"] },
  "a container's name": { allow: [{ container_name_regex: ["^main$"] }], want: ["pod exec", "probe exec"] },
  "a container's id": { allow: [{ container_id: ["^ccc"] }], want: ["pod exec", "probe exec"] },
  "labels, which hosts do not have": { allow: [{ labels: ["app!=db"] }], want: ["pod exec", "probe exec"] },
  "labels in every form": {
    allow: [{ labels: ["app=web,tier in (front, back),!canary,app notin (db),tier"] }],
    want: ["pod exec", "probe exec"],
  },
  "one of several label selectors": {
    allow: [{ labels: ["app=db", "tier==front"] }],
    want: ["pod exec", "probe exec"],
  },
  "health checks": { deny: [{ health_check: true }], want: ["host exec", "pod exec", "hit", "exit"] },
  "not only health checks": { allow: [{ health_check: false }], want: ALL },
  "the tree of a container's first process": { allow: [{ in_init_tree: true }], want: ["pod exec"] },
  "a process and its descendants": { allow: [{ pid_set: [20] }], want: ["host exec", "pod exec", "exit"] },
  policies: { allow: [{ policy_names: ["creds"] }], want: ["hit"] },
  "any of some capabilities": {
    allow: [{ capabilities: { effective: { any: ["CAP_SYS_ADMIN", "CAP_KILL"] } } }],
    want: ["host exec", "exit"],
  },
  "all of some capabilities": {
    allow: [{ capabilities: { effective: { all: ["CAP_CHOWN", "CAP_DAC_OVERRIDE"] } } }],
    want: ["pod exec"],
  },
  "exactly some capabilities": {
    allow: [{ capabilities: { effective: { exactly: ["CAP_SYS_ADMIN"] } } }],
    want: ["host exec", "exit"],
  },
  "none of some capabilities": {
    allow: [{ pid: [20, 30], capabilities: { effective: { none: ["DAC_OVERRIDE"] } } }],
    want: ["host exec", "exit"],
  },
  "a CEL expression over one type of event": {
    allow: [{ cel_expression: ["process_exec.process.pid > 20u"] }],
    want: ["pod exec", "probe exec"],
  },
  "a CEL expression over a pod": {
    allow: [
      {
        cel_expression: [
          "process_exec.process.pod.name.startsWith('web') && process_exec.process.arguments.contains('80')",
        ],
      },
    ],
    want: ["pod exec"],
  },
  "a CEL expression over arguments": {
    allow: [{ cel_expression: ["process_kprobe.args[0].process_credentials_arg.uid == 7u"] }],
    want: ["hit"],
  },
  "one of several CEL expressions": {
    allow: [{ cel_expression: ["process_exec.process.pid == 20u", "process_exit.process.pid == 20u"] }],
    want: ["host exec", "exit"],
  },
  "a CEL expression over elements of a list": {
    allow: [{ cel_expression: ["process_kprobe.args.exists(arg, arg.process_credentials_arg.uid == 7u)"] }],
    want: ["hit"],
  },
  "a CEL expression with the name of an enumeration": {
    allow: [{ cel_expression: ["process_kprobe.action == tetragon.KprobeAction.KPROBE_ACTION_POST"] }],
    want: ["hit"],
  },
  "a CEL expression over labels": {
    allow: [{ cel_expression: ["process_exec.process.pod.pod_labels['app'] == 'web'"] }],
    want: ["pod exec", "probe exec"],
  },
  "a CEL expression over a field that may be absent": {
    allow: [
      { cel_expression: ["!has(process_exec.process.pod) && process_exec.process.in_init_tree == false"] },
    ],
    want: ["host exec"],
  },
};

test.each(Object.entries(cases))("%s", (_name, { allow = [], deny = [], want }) => {
  expect(passing(allow, deny)).toEqual(want);
});

describe("what cannot be used is refused with its place", () => {
  const refused: Record<string, { filter: object; says: string }> = {
    "a pattern": {
      filter: { pod_regex: ["a", "(?=b)"] },
      says: 'allow_list[0].pod_regex[1]: "(?=b)" is no RE2 pattern: ',
    },
    "a label selector": {
      filter: { labels: ["a b"] },
      says: 'allow_list[0].labels[0]: "a b" is no label selector',
    },
    "a capability": {
      filter: { capabilities: { effective: { any: ["CAP_FLY"] } } },
      says: 'allow_list[0].capabilities.effective.any[0]: "CAP_FLY" is no capability',
    },
    "an event type": {
      filter: { event_set: ["PROCESS_FORK"] },
      says: 'allow_list[0].event_set[0]: "PROCESS_FORK" is no event type',
    },
    "a CEL expression": {
      filter: { cel_expression: ["a ||"] },
      says: 'allow_list[0].cel_expression[0]: "a ||" is no CEL expression: ',
    },
    "a CEL expression that is no condition": {
      filter: { cel_expression: ["true", "process_exec.process.pid + 1u"] },
      says: 'allow_list[0].cel_expression[1]: "process_exec.process.pid + 1u" is no CEL expression: its result is neither true nor false',
    },
    "a CEL expression that is a field": {
      filter: { cel_expression: ["process_exec.process.binary"] },
      says: "its result is neither true nor false",
    },
    "a CEL expression over an event that does not exist": {
      filter: { cel_expression: ["process_fork.process.pid == 1u"] },
      says: "there is no process_fork: events are process_exec, process_exit, process_kprobe, ",
    },
    "a CEL expression over a field that does not exist": {
      filter: { cel_expression: ["process_exec.process.name == 'sh'"] },
      says: "Process has no field name",
    },
    "a CEL expression over a field that elements of a list do not have": {
      filter: { cel_expression: ["process_kprobe.args.exists(arg, arg.integer == 1)"] },
      says: "KprobeArgument has no field integer",
    },
    "a CEL expression with a function that does not exist": {
      filter: { cel_expression: ["lowerAscii(process_exec.process.binary) == 'a'"] },
      says: "lowerAscii",
    },
    "a field": { filter: { binary: ["a"] }, says: "allow_list[0].binary: is no field of a filter" },
  };
  test.each(Object.entries(refused))("%s", (_name, { filter, says }) => {
    expect(() => passing([filter as Filter])).toThrow(says);
  });
});
