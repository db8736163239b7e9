import { describe, expect, test } from "vitest";
import { ARGUMENT_TYPES } from "../crds/schema/words.ts";
import { UNSUPPORTED } from "./support.ts";
import {
  errorsOf,
  type Loose,
  makePolicy,
  makeProbe,
  makeProbePolicy,
  makeSelectorPolicy,
} from "./test-data.ts";

const PROBE = "spec.kprobes[0]";
const SELECTOR = `${PROBE}.selectors[0]`;
const action = (name: string, more: Loose = {}) =>
  makeSelectorPolicy({ matchActions: [{ action: name, ...more }] });
const withSpec = (more: Loose) => makePolicy({ kprobes: [makeProbe()], ...more });
const capabilities = [{ operator: "In", values: ["CAP_SYS_ADMIN"] }];
const onString = { args: [{ index: 0, type: "string" }] };
const option = (name: string) => withSpec({ options: [{ name, value: "x" }] });
const capabilitySets = {
  call: "security_capset",
  syscall: false,
  args: [
    { index: 2, type: "cap_effective" },
    { index: 3, type: "cap_effective" },
  ],
};

/** A policy that uses the feature, valid upstream, and the path where it is refused. */
const cases: Record<keyof typeof UNSUPPORTED, [policy: Loose, path: string]> = {
  TracingPolicyNamespaced: [makePolicy({ kprobes: [makeProbe()] }, "TracingPolicyNamespaced"), "kind"],
  podSelector: [withSpec({ podSelector: {} }), "spec.podSelector"],
  containerSelector: [
    withSpec({ containerSelector: { matchLabels: { name: "a" } } }),
    "spec.containerSelector",
  ],
  hostSelector: [withSpec({ hostSelector: {} }), "spec.hostSelector"],
  tracepoints: [makePolicy({ tracepoints: [{ subsystem: "a", event: "b" }] }), "spec.tracepoints"],
  lsmhooks: [makePolicy({ lsmhooks: [{ hook: "capset" }] }), "spec.lsmhooks"],
  uprobes: [makePolicy({ uprobes: [{ path: "/bin/su", symbols: ["main"] }] }), "spec.uprobes"],
  usdts: [makePolicy({ usdts: [{ path: "/bin/su", provider: "p", name: "n" }] }), "spec.usdts"],
  loader: [withSpec({ loader: true }), "spec.loader"],
  enforcers: [withSpec({ enforcers: [{ calls: ["sys_setuid"] }] }), "spec.enforcers"],
  return: [makeProbePolicy({ return: true, returnArg: { index: 0, type: "int" } }), `${PROBE}.return`],
  returnArgAction: [makeProbePolicy({ returnArgAction: "TrackSock" }), `${PROBE}.returnArgAction`],
  data: [
    makeProbePolicy({ data: [{ index: 0, type: "int", source: "current_task", resolve: "pid" }] }),
    `${PROBE}.data`,
  ],
  returnCopy: [
    makeProbePolicy({ args: [{ index: 0, type: "int", returnCopy: true }] }),
    `${PROBE}.args[0].returnCopy`,
  ],
  resolve: [
    makeProbePolicy({ args: [{ index: 0, type: "int", resolve: "a.b" }] }),
    `${PROBE}.args[0].resolve`,
  ],
  btfType: [
    makeProbePolicy({ args: [{ index: 0, type: "int", btfType: "cred" }] }),
    `${PROBE}.args[0].btfType`,
  ],
  generatedList: [withSpec({ lists: [{ name: "l", type: "generated_syscalls" }] }), "spec.lists[0].type"],
  syscallNumbers: [
    makePolicy({
      lists: [{ name: "l", type: "syscalls", values: ["sys_setuid"] }],
      kprobes: [
        makeProbe({ selectors: [{ matchArgs: [{ index: 0, operator: "InMap", values: ["list:l"] }] }] }),
      ],
    }),
    `${SELECTOR}.matchArgs[0].values[0]`,
  ],
  "option override-method": [option("override-method"), "spec.options[0].name"],
  "option sleepable-preload-size": [option("sleepable-preload-size"), "spec.options[0].name"],
  matchParentBinaries: [
    makeSelectorPolicy({ matchParentBinaries: [{ operator: "In", values: ["/bin/sh"] }] }),
    `${SELECTOR}.matchParentBinaries`,
  ],
  matchCapabilities: [
    makeSelectorPolicy({ matchCapabilities: capabilities }),
    `${SELECTOR}.matchCapabilities`,
  ],
  matchCapabilityChanges: [
    makeSelectorPolicy({ matchCapabilityChanges: capabilities }),
    `${SELECTOR}.matchCapabilityChanges`,
  ],
  matchNamespaceChanges: [
    makeSelectorPolicy({ matchNamespaceChanges: [{ operator: "In", values: ["Uts"] }] }),
    `${SELECTOR}.matchNamespaceChanges`,
  ],
  matchData: [
    makeSelectorPolicy({ matchData: [{ index: 0, operator: "Equal", values: ["0"] }] }),
    `${SELECTOR}.matchData`,
  ],
  matchReturnArgs: [
    makeSelectorPolicy({ matchReturnArgs: [{ index: 0, operator: "Equal", values: ["0"] }] }),
    `${SELECTOR}.matchReturnArgs`,
  ],
  matchReturnActions: [
    makeSelectorPolicy({ matchReturnActions: [{ action: "Post" }] }),
    `${SELECTOR}.matchReturnActions`,
  ],
  matchWorkloads: [makeSelectorPolicy({ matchWorkloads: { podSelector: {} } }), `${SELECTOR}.matchWorkloads`],
  followChildren: [
    makeSelectorPolicy({ matchBinaries: [{ operator: "In", values: ["/bin/sh"], followChildren: true }] }),
    `${SELECTOR}.matchBinaries[0].followChildren`,
  ],
  stringOperators: [
    makeSelectorPolicy({ matchArgs: [{ index: 0, operator: "Prefix", values: ["/etc"] }] }, onString),
    `${SELECTOR}.matchArgs[0].operator`,
  ],
  CapabilitiesGained: [
    makeSelectorPolicy({ matchArgs: [{ args: [0, 1], operator: "CapabilitiesGained" }] }, capabilitySets),
    `${SELECTOR}.matchArgs[0].operator`,
  ],
  CelExpr: [
    makeSelectorPolicy({ matchArgs: [{ index: 0, operator: "CelExpr", values: ["arg0 == 1"] }] }),
    `${SELECTOR}.matchArgs[0].operator`,
  ],
  kernelStackTrace: [
    action("Post", { kernelStackTrace: true }),
    `${SELECTOR}.matchActions[0].kernelStackTrace`,
  ],
  userStackTrace: [action("Post", { userStackTrace: true }), `${SELECTOR}.matchActions[0].userStackTrace`],
  imaHash: [action("Post", { imaHash: true }), `${SELECTOR}.matchActions[0].imaHash`],
  Sigkill: [action("Sigkill", { argError: -1 }), `${SELECTOR}.matchActions[0].action`],
  Signal: [action("Signal", { argSig: 9 }), `${SELECTOR}.matchActions[0].action`],
  Override: [action("Override", { argError: -1 }), `${SELECTOR}.matchActions[0].action`],
  NotifyEnforcer: [action("NotifyEnforcer"), `${SELECTOR}.matchActions[0].action`],
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
    makeProbePolicy({ call: "some_function", syscall: false, args: [{ index: 0, type }] }),
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
