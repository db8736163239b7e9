import { describe, expect, test } from "vitest";
import { selectorOf } from "../testing/filters.ts";
import { errorsOf, type Loose, makeSelectorPolicy, warningsOf } from "../testing/policies.ts";

const AT = "spec.kprobes[0].selectors[0]";

describe("matchActions", () => {
  const match = (...actions: Loose[]) => ({ matchActions: actions });

  test.each([
    ["Post", { action: "Post" }, { action: "Post" }],
    ["NoPost", { action: "NoPost" }, { action: "NoPost" }],
    [
      "seconds",
      { action: "Post", rateLimit: "30" },
      { action: "Post", rateLimit: { intervalMs: 30_000, scope: "thread" } },
    ],
    [
      "s",
      { action: "Post", rateLimit: "5s" },
      { action: "Post", rateLimit: { intervalMs: 5000, scope: "thread" } },
    ],
    [
      "M in upper case",
      { action: "Post", rateLimit: "1M" },
      { action: "Post", rateLimit: { intervalMs: 60_000, scope: "thread" } },
    ],
    [
      "hours per process",
      { action: "Post", rateLimit: "2h", rateLimitScope: "process" },
      { action: "Post", rateLimit: { intervalMs: 7_200_000, scope: "process" } },
    ],
    [
      "a global limit",
      { action: "Post", rateLimit: "1s", rateLimitScope: "Global" },
      { action: "Post", rateLimit: { intervalMs: 1000, scope: "global" } },
    ],
    ["an empty limit", { action: "Post", rateLimit: "" }, { action: "Post" }],
    [
      "stack traces that are off",
      { action: "Post", kernelStackTrace: false, userStackTrace: false },
      { action: "Post" },
    ],
  ])("takes %s", (_name, action, want) => {
    expect(selectorOf(match(action)).actions).toEqual([want]);
  });

  test.each([
    ["a limit of nothing", { rateLimit: "0" }, `rateLimit: "0" limits nothing`],
    [
      "a limit of a century",
      { rateLimit: "876000h" },
      `rateLimit: "876000h" is cut to 49 days, the longest interval`,
    ],
    [
      "a scope without a limit",
      { rateLimitScope: "process" },
      "rateLimitScope: has no effect without rateLimit",
    ],
    ["an error of another action", { argError: -1 }, "argError: has no effect on Post"],
  ])("warns of %s", (_name, more, warning) => {
    const policy = makeSelectorPolicy(match({ action: "Post", ...more }));
    expect(errorsOf(policy)).toEqual([]);
    expect(warningsOf(policy)).toEqual([`${AT}.matchActions[0].${warning}`]);
  });

  test("cuts the longest limit to what the kernel counts", () => {
    expect(selectorOf(match({ action: "Post", rateLimit: "876000h" })).actions).toEqual([
      { action: "Post", rateLimit: { intervalMs: 4_294_967_295, scope: "thread" } },
    ]);
  });

  test.each([
    [
      "an unknown unit",
      [{ action: "Post", rateLimit: "1d" }],
      `[0].rateLimit: "1d" is not a time: write seconds, or a number with s, m or h, such as 1m`,
    ],
    [
      "a fraction",
      [{ action: "Post", rateLimit: "1.5m" }],
      `[0].rateLimit: "1.5m" is not a time: write seconds, or a number with s, m or h, such as 1m`,
    ],
    [
      "a negative limit",
      [{ action: "Post", rateLimit: "-1" }],
      `[0].rateLimit: "-1" is not a time: write seconds, or a number with s, m or h, such as 1m`,
    ],
    [
      "an unknown scope",
      [{ action: "Post", rateLimit: "1m", rateLimitScope: "pod" }],
      `[0].rateLimitScope: "pod" is not a scope: must be thread, process, global`,
    ],
    [
      "a misspelt scope",
      [{ action: "Post", rateLimit: "1m", rateLimitScope: "proces" }],
      `[0].rateLimitScope: "proces" is not a scope: did you mean "process"?`,
    ],
    [
      "a limit of NoPost",
      [{ action: "NoPost", rateLimit: "1m" }],
      "[0].rateLimit: fits the action Post only, not NoPost",
    ],
    [
      "a stack of NoPost",
      [{ action: "NoPost", userStackTrace: true }],
      "[0].userStackTrace: fits the action Post only, not NoPost",
    ],
    [
      "Post twice",
      [{ action: "Post" }, { action: "Post" }],
      `[1].action: Post stands at ${AT}.matchActions[0] already`,
    ],
    [
      "Post and NoPost",
      [{ action: "Post" }, { action: "NoPost" }],
      `[1].action: NoPost contradicts Post at ${AT}.matchActions[0]`,
    ],
    [
      "two jump targets",
      [{ action: "Override", argNewAddr: 1, argNewOffset: 2 }],
      "[0]: only one of argNewSymbol, argNewAddr and argNewOffset is allowed",
    ],
  ])("refuses %s", (_name, actions, error) => {
    expect(errorsOf(makeSelectorPolicy(match(...actions)))).toEqual([`${AT}.matchActions${error}`]);
  });

  test("four actions are too many", () => {
    expect(errorsOf(makeSelectorPolicy(match(...Array(4).fill({ action: "Post" }))))[0]).toBe(
      `${AT}.matchActions: has 4 entries: at most 3 are allowed`,
    );
  });
});
