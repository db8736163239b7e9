/** Selectors of hooks and the actions that they trigger. */
import { CURRENT_CAPABILITY_SETS, NAMESPACES } from "../linux.ts";
import { containerSelector, hostSelector, podSelector } from "./labels.ts";
import { count, flag, int32, int64, list, object, type Structural, text, texts, word } from "./structural.ts";
import {
  ACTIONS,
  ARGUMENT_OPERATORS,
  CRED_CHANGE_WORDS,
  CRED_CHANGES,
  CRED_OPERATORS,
  CURRENT_CRED_FIELDS,
  PATH_OPERATORS,
  SET_OPERATORS,
} from "./words.ts";

const PIDS = object(
  "Process ids to match.",
  {
    followForks: flag(
      "Descendants of the processes match too, also when those in between have ended.",
      false,
    ),
    isNamespacePID: flag("Compare the pid as seen in the innermost pid namespace.", false),
    operator: word("Membership of the pid in the values.", SET_OPERATORS),
    values: list("Process ids; 0 stands for the kernel.", { format: "int32", type: "integer" }),
  },
  ["operator", "values"],
);

const NAMESPACE = object(
  "Namespace of the process to match.",
  {
    namespace: word("Kind of namespace.", NAMESPACES),
    operator: word("Membership of the namespace in the values.", SET_OPERATORS),
    values: texts("Namespace inode numbers, or host_ns for the namespace of pid 1."),
  },
  ["namespace", "operator", "values"],
);

const NAMESPACE_CHANGE = object(
  "Namespaces that differ from those at exec.",
  {
    operator: word("Membership of the changed namespace in the values.", SET_OPERATORS),
    values: texts("Kinds of namespaces."),
  },
  ["operator", "values"],
);

const CAPABILITIES = object(
  "Capabilities of the process to match.",
  {
    isNamespaceCapability: flag("Only processes outside the initial user namespace match.", false),
    operator: word("In: any of the values is in the set; NotIn: none is.", SET_OPERATORS),
    type: word("Capability set to look at.", CURRENT_CAPABILITY_SETS, { default: "Effective" }),
    values: texts("Capability names, such as CAP_SYS_ADMIN."),
  },
  ["operator", "values"],
);

const CURRENT_CRED = object(
  "A field of the caller's credentials at the time of the call to match.",
  {
    field: word("Field of the credentials.", CURRENT_CRED_FIELDS),
    operator: word("Comparison of the field with the values.", CRED_OPERATORS),
    values: texts("Numbers, min:max, or words: root for the id 0, unset for auid, names of securebits."),
  },
  ["field", "operator", "values"],
);

const CRED_CHANGE = object(
  "A change of credentials to match, on hooks that receive new ones.",
  {
    change: word("Changed, or only Raised or Dropped: more or fewer privileges.", CRED_CHANGES),
    fields: list("Fields to look at; one of them must have changed.", {
      enum: CRED_CHANGE_WORDS,
      type: "string",
    }),
  },
  ["change", "fields"],
);

const BINARIES = object(
  "Executed file of the process to match.",
  {
    followChildren: flag(
      "Descendants of a matching process match too, also when those in between have ended.",
      false,
    ),
    operator: word("Comparison of the path with the values.", PATH_OPERATORS),
    values: texts("Paths, or beginnings or ends of paths."),
  },
  ["operator", "values"],
);

const ARGUMENT = object(
  "Comparison of an argument.",
  {
    args: list("Positions in the hook's list of arguments.", {
      format: "int32",
      minimum: 0,
      type: "integer",
    }),
    index: count("Parameter number of the argument; its first entry in the list is meant."),
    operator: word("Comparison of the argument with the values.", ARGUMENT_OPERATORS),
    values: texts("Values to compare with, always written as text."),
  },
  ["operator"],
);

const ACTION = object(
  "What to do when the selector matches.",
  {
    action: word("The action; Post reports an event.", ACTIONS),
    argError: int32("Error that the function returns, for Override and NotifyEnforcer."),
    argFqdn: text("Host name to look up, for DnsLookup."),
    argIndex: int32("Argument to change, for Set."),
    argNewAddr: int64("Address to jump to, for Override."),
    argNewOffset: int64("Offset to jump to, for Override."),
    argNewSymbol: text("Symbol to jump to, for Override."),
    argRegs: texts("Register assignments, for Override."),
    argSig: int32("Signal number, for Signal and NotifyEnforcer."),
    argSock: int32("Argument with the socket, for TrackSock and UntrackSock."),
    argUrl: text("URL to fetch, for GetUrl."),
    argValue: int32("Value to write, for Set."),
    imaHash: flag("Adds the hash of the file, for Post on LSM hooks."),
    kernelStackTrace: flag("Adds the kernel stack, for Post."),
    rateLimit: text("Drops repetitions within this time, for Post: 30 or 30s, 5m, 1h."),
    rateLimitScope: text("Counts repetitions per thread (default), process or global."),
    userStackTrace: flag("Adds the user stack, for Post."),
  },
  ["action"],
  {
    "x-kubernetes-validations": [
      {
        rule:
          "!(has(self.argNewSymbol) && has(self.argNewAddr)) && !(has(self.argNewSymbol) && has(self.argNewOffset))" +
          " && !(has(self.argNewAddr) && has(self.argNewOffset))",
        message: "only one of argNewSymbol, argNewAddr and argNewOffset is allowed",
      },
    ],
  },
);

const WORKLOADS = object("Workloads that the selector is about.", {
  containerSelector: containerSelector(),
  hostSelector: hostSelector(),
  podSelector: podSelector(),
});

/** A selector: all its parts must match. */
export const SELECTOR: Structural = object("Conditions that must all hold, and what to do then.", {
  label: text("Name of the selector in metrics."),
  macros: texts("Names of selectorsMacros to merge into this selector."),
  matchActions: list("At most 3; without any, an event is posted.", ACTION),
  matchArgs: list("Conditions on arguments.", ARGUMENT),
  matchBinaries: list("Condition on the executed file.", BINARIES, { maxItems: 1 }),
  matchCapabilities: list("Conditions on capabilities.", CAPABILITIES),
  matchCapabilityChanges: list("Conditions on capabilities that changed since exec.", CAPABILITIES),
  matchCredChanges: list("Conditions on how credentials change.", CRED_CHANGE),
  matchCurrentCred: list("Conditions on the caller's credentials.", CURRENT_CRED),
  matchData: list("Conditions on entries of data, by position.", ARGUMENT),
  matchNamespaceChanges: list("Conditions on namespaces that changed since exec.", NAMESPACE_CHANGE),
  matchNamespaces: list("Conditions on namespaces.", NAMESPACE),
  matchPIDs: list("Conditions on process ids.", PIDS),
  matchParentBinaries: list("Condition on the parent's executed file.", BINARIES, { maxItems: 1 }),
  matchReturnActions: list("Actions at return.", ACTION),
  matchReturnArgs: list("Conditions on the return value.", ARGUMENT),
  matchWorkloads: WORKLOADS,
});
