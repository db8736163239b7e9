import { describe, expect, test } from "vitest";
import { closestNames, didYouMean, editDistance } from "./suggest.ts";

const distances: Record<string, [a: string, b: string, distance: number]> = {
  "equal words": ["setuid", "setuid", 0],
  "a letter too many": ["setuids", "setuid", 1],
  "a letter too few": ["comit_creds", "commit_creds", 1],
  "another letter": ["setuid", "setgid", 1],
  "two neighbours swapped": ["setudi", "setuid", 1],
  "a swap behind other edits": ["kitetn", "sitten", 2],
  "three edits": ["kitten", "sitting", 3],
  "nothing and a word": ["", "abc", 3],
};
test.each(Object.entries(distances))("the distance of %s", (_name, [a, b, distance]) => {
  expect(editDistance(a, b, 3)).toBe(distance);
  expect(editDistance(b, a, 3)).toBe(distance);
});

test("a distance above the bound is only known to be above it", () => {
  expect(editDistance("kitten", "elephant", 3)).toBeGreaterThan(3);
  expect(editDistance("commit_creds", "security_capset", 3)).toBeGreaterThan(3);
});

describe("the closest names", () => {
  const names = ["set_uidxyz", "set_gid", "get_guids", "set_uids", "set_uidxy"];

  test("come nearest first, no more than asked for", () => {
    expect(closestNames("set_uid", names, 3)).toEqual(["set_gid", "set_uids", "set_uidxy"]);
    expect(closestNames("set_uid", names, 1)).toEqual(["set_gid"]);
  });

  test("are found whatever their case", () => {
    expect(closestNames("cap_chwon", ["CAP_CHOWN", "CAP_FOWNER"], 1)).toEqual(["CAP_CHOWN"]);
  });

  test("of a short name differ in one letter at most", () => {
    expect(closestNames("Pids", ["Pid", "Ipc", "Net"], 3)).toEqual(["Pid"]);
  });
});

test("a suggestion lists what was asked for", () => {
  const names = ["setuid", "setgid", "getuid"];
  expect(didYouMean("setui", names)).toBe(': did you mean "setuid"?');
  expect(didYouMean("setuidd", names, 2)).toBe(': did you mean "setuid" or "setgid"?');
  expect(didYouMean("setuidd", names, 3)).toBe(': did you mean "setuid", "setgid" or "getuid"?');
  expect(didYouMean("ptrace", names)).toBe("");
});
