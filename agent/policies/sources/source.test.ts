import { expect, test } from "vitest";
import { makeHookSpec } from "../testing/policies.ts";
import { type DesiredPolicy, mergeSources, type SpecSource } from "./source.ts";

function makeSource(name: string, policies: string[] | undefined): SpecSource {
  const entries = policies?.map((policy): [string, DesiredPolicy] => {
    const spec = makeHookSpec(policy, ["sys_setuid"]);
    return [`TracingPolicy/${policy}`, { ref: spec.policy, hash: `${name}-hash`, origin: name, spec }];
  });
  return { name, desired: () => entries && new Map(entries), onChange: () => {}, close: () => {} };
}

test("the policies of all sources are wanted", () => {
  const merged = mergeSources([makeSource("files", ["a"]), makeSource("ConfigMaps", ["b"])]);
  expect([...(merged?.keys() ?? [])]).toEqual(["TracingPolicy/a", "TracingPolicy/b"]);
});

test("nothing is wanted until every source has been read: an unread one must not detach its policies", () => {
  expect(mergeSources([makeSource("files", ["a"]), makeSource("ConfigMaps", undefined)])).toBeUndefined();
});

test("a policy of two sources is the first one's and names the other", () => {
  const merged = mergeSources([makeSource("files", ["a"]), makeSource("ConfigMaps", ["a"])]);
  expect(merged?.get("TracingPolicy/a")).toMatchObject({
    origin: "files",
    rival: { origin: "ConfigMaps", hash: "ConfigMaps-hash" },
  });
});
