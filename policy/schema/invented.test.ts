import { describe, expect, test } from "vitest";
import { errorsOf, type Loose, makeProbePolicy, makeSelectorPolicy } from "../testing/policies.ts";

const PROBE = "spec.kprobes[0]";
const AT = `${PROBE}.selectors[0]`;
const ENTRY = { index: 0, operator: "Equal", values: ["0"] };

describe("a form that is not ours leads to the right one", () => {
  const cases: Record<string, [policy: Loose, error: string]> = {
    "one object instead of a list": [
      makeSelectorPolicy({ matchArgs: { ...ENTRY, operator: "In" } }),
      `${AT}.matchArgs: must be a list, is an object: start each entry with "- ", or write matchArgs: [{index: 0, operator: Equal, values: ["0"]}]`,
    ],
    "the operator of a set on arguments": [
      makeSelectorPolicy({ matchArgs: [{ ...ENTRY, operator: "In" }] }),
      `${AT}.matchArgs[0].operator: "In" is not allowed: use Equal, which takes several values, or InMap for many (allowed:`,
    ],
    "an operator of another language": [
      makeSelectorPolicy({ matchArgs: [{ ...ENTRY, operator: "startsWith" }] }),
      `${AT}.matchArgs[0].operator: "startsWith" is not allowed: use Prefix (allowed:`,
    ],
    "equality where sets are compared": [
      makeSelectorPolicy({ matchBinaries: [{ operator: "==", values: ["/usr/bin/su"] }] }),
      `${AT}.matchBinaries[0].operator: "==" is not allowed: use In (allowed:`,
    ],
    "a type of C": [
      makeProbePolicy({ args: [{ index: 0, type: "uid_t" }] }),
      `${PROBE}.args[0].type: "uid_t" is not allowed: use uint32 (allowed:`,
    ],
    "a text as an entry": [
      makeSelectorPolicy({ matchCapabilities: ["CAP_SYS_ADMIN"] }),
      `${AT}.matchCapabilities[0]: must be an object, is a text: write {operator: In, values: [CAP_SYS_ADMIN]}`,
    ],
    "a label beside matchLabels": [
      {
        ...makeProbePolicy({}),
        spec: { ...(makeProbePolicy({}).spec as Loose), podSelector: { app: "web" } },
      },
      `spec.podSelector.app: unknown field "app": a label belongs into matchLabels: {app: ...}`,
    ],
    "an action by its effect": [
      makeSelectorPolicy({ matchActions: [{ action: "deny" }] }),
      `${AT}.matchActions[0].action: "deny" is not allowed: use Override with argError: -1 (allowed:`,
    ],
    "a namespace by its whole name": [
      makeSelectorPolicy({ matchNamespaces: [{ namespace: "Mount", operator: "In", values: ["host_ns"] }] }),
      `${AT}.matchNamespaces[0].namespace: "Mount" is not allowed: use Mnt (allowed:`,
    ],
    "the login id by the kernel's name": [
      makeSelectorPolicy({ matchCurrentCred: [{ field: "loginuid", operator: "Equal", values: ["0"] }] }),
      `${AT}.matchCurrentCred[0].field: "loginuid" is not allowed: use auid (allowed:`,
    ],
    "a rate instead of a time": [
      makeSelectorPolicy({ matchActions: [{ action: "Post", rateLimit: "10/minute" }] }),
      `${AT}.matchActions[0].rateLimit: "10/minute" is a rate: write the time in which an equal event is posted once at most, such as 1m`,
    ],
    "actions beside the selectors": [
      makeProbePolicy({ matchActions: [{ action: "Sigkill" }] }),
      `${PROBE}.matchActions: unknown field "matchActions": it belongs into an entry of selectors, for example selectors: [{matchActions: [{action: Post, rateLimit: 1m}]}]`,
    ],
    "actions by another name": [
      makeProbePolicy({ actions: [{ action: "Sigkill" }] }),
      `${PROBE}.actions: unknown field "actions": it belongs into an entry of selectors, for example selectors: [{matchActions:`,
    ],
    "a selector of uids": [
      makeSelectorPolicy({ matchUIDs: [{ operator: "In", values: [0] }] }),
      `${AT}.matchUIDs: unknown field "matchUIDs": write matchCurrentCred: [{field: euid, operator: Equal, values: ["0"]}]`,
    ],
    "a selector of credentials by another name": [
      makeSelectorPolicy({ matchCredentials: [{ field: "uid" }] }),
      `${AT}.matchCredentials: unknown field "matchCredentials": write matchCurrentCred: [{field: euid, operator: Equal, values: ["0"]}]`,
    ],
    "an error by its name": [
      makeSelectorPolicy({ matchActions: [{ action: "Override", argError: "EACCES" }] }),
      `${AT}.matchActions[0].argError: must be an integer, is a text: write -13`,
    ],
    "a negative number in quotes": [
      makeSelectorPolicy({ matchActions: [{ action: "Override", argError: "-1" }] }),
      `${AT}.matchActions[0].argError: must be an integer, is a text: write -1 without quotes`,
    ],
    "a signal by its name": [
      makeSelectorPolicy({ matchActions: [{ action: "Signal", argSig: "SIGTERM" }] }),
      `${AT}.matchActions[0].argSig: must be an integer, is a text: write 15`,
    ],
    "a capability where a number is compared": [
      makeSelectorPolicy({ matchArgs: [{ ...ENTRY, values: ["CAP_SYS_ADMIN"] }] }),
      `${AT}.matchArgs[0].values[0]: "CAP_SYS_ADMIN" is not a number: the capability's is 21`,
    ],
    "a filter beside the selectors": [
      makeProbePolicy({ matchArgs: [ENTRY] }),
      `${PROBE}.matchArgs: unknown field "matchArgs": it belongs into an entry of selectors, for example selectors: [{matchArgs:`,
    ],
  };
  test.each(Object.entries(cases))("%s", (_name, [policy, error]) => {
    expect(errorsOf(policy)).toEqual([expect.stringContaining(error)]);
  });
});
