import { expect, test } from "vitest";
import type { FilterDef, HookDef } from "../../../crds/hook-spec.ts";
import { makeArgs, makeHook, makeSelector } from "../testing/hooks.ts";
import { readsCredentials } from "./reads-credentials.ts";

const capability: FilterDef = {
  match: "capability",
  negate: false,
  set: "Effective",
  mask: "1",
  inNamespace: false,
};
const rows: Record<string, { hook: Partial<HookDef>; reads: boolean }> = {
  "gets new ones": { hook: { call: "commit_creds" }, reads: true },
  "shows some": { hook: { call: "security_capable", args: makeArgs("cred") }, reads: true },
  "shows a set of capabilities": { hook: { call: "f", args: makeArgs("int", "cap_effective") }, reads: true },
  "shows a user namespace": { hook: { call: "f", args: makeArgs("user_namespace") }, reads: true },
  "compares the caller's": { hook: { call: "f", selectors: [makeSelector(capability)] }, reads: true },
  "looks at a number": { hook: { call: "f", args: makeArgs("int") }, reads: false },
};
test.each(Object.entries(rows))("a hook that %s: does it read credentials?", (_name, { hook, reads }) => {
  expect(readsCredentials(makeHook(hook))).toBe(reads);
});
