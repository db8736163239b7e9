import { describe, expect, test } from "vitest";
import { ARGUMENT_TYPES } from "../crds/argument-types.ts";
import { UNSUPPORTED } from "./support.ts";
import {
  errorsOf,
  type Loose,
  makePolicy,
  makeProbe,
  makeProbePolicy,
  makeSelectorPolicy,
} from "./testing/policies.ts";

const PROBE = "spec.kprobes[0]";
const SELECTOR = `${PROBE}.selectors[0]`;
const action = (name: string, more: Loose = {}) =>
  makeSelectorPolicy({ matchActions: [{ action: name, ...more }] });
const withSpec = (more: Loose) => makePolicy({ kprobes: [makeProbe()], ...more });
const option = (name: string) => withSpec({ options: [{ name, value: "x" }] });
/** A policy that uses the feature, valid upstream, and the path where it is refused. */
const cases: Record<keyof typeof UNSUPPORTED, [policy: Loose, path: string]> = {
  uprobes: [makePolicy({ uprobes: [{ path: "/bin/su", symbols: ["main"] }] }), "spec.uprobes"],
  usdts: [makePolicy({ usdts: [{ path: "/bin/su", provider: "p", name: "n" }] }), "spec.usdts"],
  loader: [withSpec({ loader: true }), "spec.loader"],
  generated_ftrace: [
    withSpec({ lists: [{ name: "l", type: "generated_ftrace", pattern: "sys_*" }] }),
    "spec.lists[0].type",
  ],
  "option sleepable-preload-size": [option("sleepable-preload-size"), "spec.options[0].name"],
  CleanupEnforcerNotification: [action("CleanupEnforcerNotification"), `${SELECTOR}.matchActions[0].action`],
  Set: [action("Set"), `${SELECTOR}.matchActions[0].action`],
  GetUrl: [action("GetUrl", { argUrl: "http://a" }), `${SELECTOR}.matchActions[0].action`],
  DnsLookup: [action("DnsLookup", { argFqdn: "a" }), `${SELECTOR}.matchActions[0].action`],
  TrackSock: [action("TrackSock"), `${SELECTOR}.matchActions[0].action`],
  UntrackSock: [action("UntrackSock"), `${SELECTOR}.matchActions[0].action`],
};

describe("what upstream has and Trigon does not is refused once, with the reason", () => {
  test.each(Object.entries(cases))("%s", (name, [policy, path]) => {
    expect(errorsOf(policy)).toEqual([`${path}: ${UNSUPPORTED[name as keyof typeof UNSUPPORTED]}`]);
  });

  test("every reason says that it is not supported", () => {
    for (const reason of Object.values(UNSUPPORTED)) expect(reason).toMatch(/ is not supported( yet$|: )/);
  });
});

test.each(ARGUMENT_TYPES)("the argument type %s is read, or refused with a reason", (type) => {
  const errors = errorsOf(
    makeProbePolicy({
      call: "some_function",
      syscall: false,
      args: [{ index: 0, type, ...(type === "char_buf" ? { sizeArgIndex: 2 } : {}) }],
    }),
  );
  if (errors.length === 0) return;
  expect(errors).toHaveLength(1);
  expect(errors[0]).toMatch(
    /^spec\.kprobes\[0\]\.args\[0\]\.type: (the argument type )?(\w+) (is not supported|does not fit|fits)/,
  );
});

test("what is switched off is not refused", () => {
  const args = [
    {
      index: 0,
      type: "int",
      resolve: "",
      source: "",
      returnCopy: false,
      maxData: false,
      sizeArgIndex: 0,
      btfType: "",
    },
  ];
  const selectors = [
    {
      matchActions: [{ action: "Post", kernelStackTrace: false, imaHash: false }],
      matchCapabilities: [],
      matchCurrentCred: [],
      matchCredChanges: [],
      matchReturnArgs: [],
      matchReturnActions: [],
      matchBinaries: [{ operator: "In", values: ["/a"], followChildren: false }],
    },
  ];
  const probe = { args, selectors, return: false, returnArgAction: "", data: [], message: "" };
  const spec = {
    kprobes: [makeProbe(probe)],
    loader: false,
    enforcers: [],
    tracepoints: [],
    options: [],
    lists: [],
  };
  expect(errorsOf(makePolicy(spec))).toEqual([]);
});
