import { expect, test } from "vitest";
import { runInBackground, runNow, type SlowStep, type Steps, take } from "./steps.ts";

/** A step that notes how it ran; `fails` in any way. */
function makeStep(log: string[], name: string, { fails = false } = {}): SlowStep<string> {
  const run = (how: string) => {
    log.push(`${name} ${how}`);
    if (fails) throw new Error(`${name} failed`);
    return name.toUpperCase();
  };
  return { now: () => run("now"), inBackground: async () => run("in background") };
}

function* sequence(log: string[]): Steps<string> {
  const program = yield* take(makeStep(log, "load"));
  const link = yield* take(makeStep(log, "link"));
  return `${program} ${link}`;
}

test("in the background no slow step runs on the calling thread", async () => {
  const log: string[] = [];
  expect(await runInBackground(sequence(log))).toBe("LOAD LINK");
  expect(log).toEqual(["load in background", "link in background"]);
});

test("here and now nothing is left to another thread", () => {
  const log: string[] = [];
  expect(runNow(sequence(log))).toBe("LOAD LINK");
  expect(log).toEqual(["load now", "link now"]);
});

test("the error of a step is thrown where the step was taken, in both ways", async () => {
  function* recovering(): Steps<string> {
    try {
      return yield* take(makeStep([], "link", { fails: true }));
    } catch (error) {
      return (error as Error).message;
    }
  }
  expect(runNow(recovering())).toBe("link failed");
  expect(await runInBackground(recovering())).toBe("link failed");
});
