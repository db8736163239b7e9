import { expect, test } from "vitest";
import type { HookDef } from "../../crds/hook-spec.ts";
import { diffHooks, hookHash } from "./diff.ts";
import { makeHookDef } from "./testing/policies.ts";

const setuid = makeHookDef("sys_setuid", 0);
const setgid = makeHookDef("sys_setgid", 1);
const setgidFirst = makeHookDef("sys_setgid", 0);
const setuidWithMessage = { ...setuid, message: "became someone" };

const cases: Record<
  string,
  { wanted: HookDef[]; running: HookDef[]; attach: HookDef[]; keep: HookDef[]; detach: HookDef[] }
> = {
  "a first spec attaches every hook": {
    wanted: [setuid, setgid],
    running: [],
    attach: [setuid, setgid],
    keep: [],
    detach: [],
  },
  "the same spec keeps every hook": {
    wanted: [setuid, setgid],
    running: [setgid, setuid],
    attach: [],
    keep: [setuid, setgid],
    detach: [],
  },
  "no spec detaches every hook": {
    wanted: [],
    running: [setuid, setgid],
    attach: [],
    keep: [],
    detach: [setuid, setgid],
  },
  "a hook that moved within the policy is kept": {
    wanted: [setgidFirst],
    running: [setuid, setgid],
    attach: [],
    keep: [setgidFirst],
    detach: [setuid],
  },
  "a changed hook is attached anew and its old form detached": {
    wanted: [setuidWithMessage, setgid],
    running: [setuid, setgid],
    attach: [setuidWithMessage],
    keep: [setgid],
    detach: [setuid],
  },
  "the same hook twice is two hooks": {
    wanted: [setuid, setuid],
    running: [setuid],
    attach: [setuid],
    keep: [setuid],
    detach: [],
  },
  "one of two equal hooks goes": {
    wanted: [setuid],
    running: [setuid, setuid],
    attach: [],
    keep: [setuid],
    detach: [setuid],
  },
};

test.each(Object.entries(cases))("%s", (_name, { wanted, running, attach, keep, detach }) => {
  const diff = diffHooks(
    wanted,
    running.map((def) => ({ def })),
  );
  expect(diff.wanted.map((hook) => hook.def)).toEqual(wanted);
  expect(diff.wanted.filter((hook) => !hook.keep).map((hook) => hook.def)).toEqual(attach);
  expect(diff.wanted.filter((hook) => hook.keep).map((hook) => hook.def)).toEqual(keep);
  expect(diff.detach.map((hook) => hook.def)).toEqual(detach);
});

test("the hash does not depend on the order of keys", () => {
  const reversed = Object.fromEntries(Object.entries(setuid).reverse()) as unknown as HookDef;
  expect(Object.keys(reversed)[0]).not.toBe(Object.keys(setuid)[0]);
  expect(hookHash(reversed)).toBe(hookHash(setuid));
});
