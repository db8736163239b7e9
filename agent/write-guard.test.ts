import { describe, expect, test, vi } from "vitest";
import { WriteGuard } from "./write-guard.ts";

/** Runs the check against one answer after the other, until there is none left. */
async function run(...answers: (number | Error)[]) {
  const warn = vi.fn();
  const waits: number[] = [];
  const left = [...answers];
  const send = vi.fn(async () => {
    const answer = left.shift();
    if (typeof answer !== "number") throw answer;
    return { status: answer, headers: {}, text: "" };
  });
  const ended = Promise.withResolvers<void>();
  const sleep = (ms: number) => {
    waits.push(ms);
    if (left.length > 0) return Promise.resolve();
    ended.resolve();
    return new Promise<void>(() => {});
  };
  const logger = { warn, debug: () => {} } as never;
  const guard = new WriteGuard({ transport: { send }, logger, sleep });
  guard.start();
  await ended.promise;
  return { problem: guard.problem, warnings: warn.mock.calls.length, waits, send };
}

const QUICK = 15_000;
const RARE = 3_600_000;

describe("the write to another node's TracingNode", () => {
  const cases: Record<
    string,
    { answers: (number | Error)[]; isProblem: boolean; warnings: number; waits: number[] }
  > = {
    "is refused: no problem, and no hurry to try again": {
      answers: [403],
      isProblem: false,
      warnings: 0,
      waits: [RARE],
    },
    "is allowed: a problem, one warning, another try soon": {
      answers: [201, 200],
      isProblem: true,
      warnings: 1,
      waits: [QUICK, QUICK],
    },
    "is refused after all: no problem any more": {
      answers: [201, 403],
      isProblem: false,
      warnings: 1,
      waits: [QUICK, RARE],
    },
    "gets no answer that says something: what was known stays": {
      answers: [201, new Error("ECONNREFUSED"), 404, 429, 503],
      isProblem: true,
      warnings: 1,
      waits: [QUICK, QUICK, QUICK, QUICK, QUICK],
    },
    "is not known yet: no problem": {
      answers: [new Error("ECONNREFUSED")],
      isProblem: false,
      warnings: 0,
      waits: [QUICK],
    },
  };
  test.each(Object.entries(cases))("%s", async (_name, { answers, isProblem, warnings, waits }) => {
    const result = await run(...answers);
    expect(result.problem !== undefined).toBe(isProblem);
    expect(result).toMatchObject({ warnings, waits });
  });

  test("is a dry run", async () => {
    const { send } = await run(403);
    expect(send).toHaveBeenCalledWith(
      expect.objectContaining({
        method: "PATCH",
        path: "/apis/trigon.dev/v1alpha1/tracingnodes/trigon-write-guard-check",
        query: expect.objectContaining({ dryRun: "All" }),
      }),
    );
  });
});
