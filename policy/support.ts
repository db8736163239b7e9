/**
 * Features of upstream's policies that Trigon does not support, in one table: to support something, delete its row and
 * compile it. Nothing that stands here is ever ignored silently.
 */
import type { Problems } from "./problems.ts";

/** A feature with a row below. */
export type Unsupported = keyof typeof UNSUPPORTED;

const outside = (what: string, why: string): string => `${what} is not supported: ${why}`;

const USER_SPACE = "Trigon watches the kernel, not functions of user-space programs";
const SOCKETS = "Trigon does not follow sockets";
const REQUESTS = "an agent makes no requests on behalf of a policy";

/** Feature to the reason why it is no part of the subject. */
export const UNSUPPORTED = {
  uprobes: outside("a policy with uprobes", USER_SPACE),
  usdts: outside("a policy with usdts", USER_SPACE),
  loader: outside("loader", "Trigon does not report the loading of files"),
  generated_ftrace: outside(
    "a list of the type generated_ftrace",
    "what its pattern stands for differs between kernels; list the functions",
  ),
  "option sleepable-preload-size": outside("the option sleepable-preload-size", USER_SPACE),
  CleanupEnforcerNotification: outside(
    "the action CleanupEnforcerNotification",
    "no notification outlives the call that it is about",
  ),
  Set: outside("the action Set", USER_SPACE),
  GetUrl: outside("the action GetUrl", REQUESTS),
  DnsLookup: outside("the action DnsLookup", REQUESTS),
  TrackSock: outside("the action TrackSock", SOCKETS),
  UntrackSock: outside("the action UntrackSock", SOCKETS),
} as const;

/** Reports a feature that the policy uses and Trigon does not have. */
export function refuse(feature: Unsupported, path: string, problems: Problems): void {
  problems.error(path, UNSUPPORTED[feature]);
}

/** True for a word that has a row above. */
export function isUnsupported(word: string): word is Unsupported {
  return Object.hasOwn(UNSUPPORTED, word);
}
