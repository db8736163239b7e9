/**
 * What upstream's policies can say and Trigon cannot do, in one table: to support something, delete its row and
 * compile it. Nothing that stands here is ever ignored silently.
 */
import type { Problems } from "./problems.ts";

/** A feature with a row below. */
export type Unsupported = keyof typeof UNSUPPORTED;

const later = (what: string): string => `${what} is not supported yet`;
const outside = (what: string, why: string): string => `${what} is not supported: ${why}`;

const USER_SPACE = "Trigon watches the kernel, not functions of user-space programs";
const SOCKETS = "Trigon does not follow sockets";

/** Feature to reason; `later` comes with one of the next steps, `outside` is no part of the subject. */
export const UNSUPPORTED = {
  TracingPolicyNamespaced: later("TracingPolicyNamespaced (a policy for the pods of one namespace)"),
  podSelector: later("podSelector"),
  containerSelector: later("containerSelector"),
  hostSelector: later("hostSelector"),
  tracepoints: later("a policy with tracepoints"),
  lsmhooks: later("a policy with lsmhooks"),
  uprobes: outside("a policy with uprobes", USER_SPACE),
  usdts: outside("a policy with usdts", USER_SPACE),
  loader: outside("loader", "Trigon does not report the loading of files"),
  enforcers: later("enforcers"),
  return: later("return (the return value of a function)"),
  returnArgAction: outside("returnArgAction", SOCKETS),
  data: later("data (values that are not arguments)"),
  returnCopy: later("returnCopy (an argument read at return)"),
  resolve: later("resolve (following struct members)"),
  btfType: later("btfType"),
  generatedList: later("a generated list"),
  syscallNumbers: later("a list of system calls as values"),
  "option override-method": later("the option override-method"),
  "option sleepable-preload-size": outside("the option sleepable-preload-size", USER_SPACE),
  matchParentBinaries: later("matchParentBinaries"),
  matchCapabilities: later("matchCapabilities"),
  matchCapabilityChanges: later("matchCapabilityChanges"),
  matchNamespaceChanges: later("matchNamespaceChanges"),
  matchData: later("matchData"),
  matchReturnArgs: later("matchReturnArgs"),
  matchReturnActions: later("matchReturnActions"),
  matchWorkloads: later("matchWorkloads"),
  followChildren: later("followChildren"),
  stringOperators: later("comparing strings"),
  CapabilitiesGained: later("the operator CapabilitiesGained"),
  CelExpr: later("the operator CelExpr"),
  kernelStackTrace: later("kernelStackTrace"),
  userStackTrace: later("userStackTrace"),
  imaHash: later("imaHash"),
  Sigkill: later("the action Sigkill"),
  Signal: later("the action Signal"),
  Override: later("the action Override"),
  NotifyEnforcer: later("the action NotifyEnforcer"),
  CleanupEnforcerNotification: later("the action CleanupEnforcerNotification"),
  Set: outside("the action Set", USER_SPACE),
  GetUrl: outside("the action GetUrl", "an agent makes no requests on behalf of a policy"),
  DnsLookup: outside("the action DnsLookup", "an agent makes no requests on behalf of a policy"),
  TrackSock: outside("the action TrackSock", SOCKETS),
  UntrackSock: outside("the action UntrackSock", SOCKETS),
} as const;

/** Argument types that the schema knows and hooks cannot read; those about files and programs will come. */
export const LATER_ARGUMENT_TYPES: ReadonlySet<string> = new Set([
  "char_buf",
  "char_iovec",
  "const_buf",
  "fd",
  "file",
  "filename",
  "path",
  "dentry",
  "linux_binprm",
  "load_info",
  "module",
]);

/** Reports a feature that the policy uses and Trigon does not have. */
export function refuse(feature: Unsupported, path: string, problems: Problems): void {
  problems.error(path, UNSUPPORTED[feature]);
}

/** True for a word that has a row above. */
export function isUnsupported(word: string): word is Unsupported {
  return Object.hasOwn(UNSUPPORTED, word);
}
