import { expect, test } from "vitest";
import { LossReport } from "./loss-report.ts";

const full = new Error("ENOSPC");
const gone = new Error("ENOENT");

/** What happens to a sink, with the second at which it does. */
type Step = (report: LossReport) => void;
const refused =
  (events: number, error: Error): Step =>
  (report) =>
    report.refused(events, error);
const overflowed =
  (events: number): Step =>
  (report) =>
    report.overflowed(events);
const wentOut: Step = (report) => report.wentOut();
const ended: Step = (report) => report.end();

const cases: Record<string, { steps: [second: number, step: Step][]; want: string[] }> = {
  "says nothing while nothing is lost": {
    steps: [
      [0, wentOut],
      [1, ended],
    ],
    want: [],
  },
  "says the first loss at once": {
    steps: [[0, refused(3, full)]],
    want: ["events lost: 3, because of ENOSPC"],
  },
  "says what is lost within the next ten seconds in one line": {
    steps: [
      [0, refused(3, full)],
      [1, refused(4, full)],
      [9, refused(5, full)],
      [10, refused(6, full)],
    ],
    want: ["events lost: 3, because of ENOSPC", "events lost: 15, because of ENOSPC"],
  },
  "names the last reason": {
    steps: [
      [0, refused(1, full)],
      [1, refused(1, full)],
      [11, refused(1, gone)],
    ],
    want: ["events lost: 1, because of ENOSPC", "events lost: 2, because of ENOENT"],
  },
  "says that events go out again, and what was lost until then": {
    steps: [
      [0, refused(3, full)],
      [1, refused(4, full)],
      [2, wentOut],
      [11, wentOut],
      [12, wentOut],
      [40, wentOut],
    ],
    want: [
      "events lost: 3, because of ENOSPC",
      "events lost: 4, because of ENOSPC",
      "events are written again",
    ],
  },
  "says nothing of going out while writes fail in between": {
    steps: [
      [0, refused(1, full)],
      [1, wentOut],
      [2, refused(1, full)],
      [11, refused(1, full)],
    ],
    want: ["events lost: 1, because of ENOSPC", "events lost: 2, because of ENOSPC"],
  },
  "tells a slow destination from one that refuses": {
    steps: [
      [0, overflowed(7)],
      [1, refused(1, full)],
      [11, overflowed(2)],
    ],
    want: [
      "events lost: 7, because the destination is too slow",
      "events lost: 2, because the destination is too slow",
      "events lost: 1, because of ENOSPC",
    ],
  },
  "is not quiet for longer when the clock is set back": {
    steps: [
      [3600, refused(1, full)],
      [0, refused(2, full)],
    ],
    want: ["events lost: 1, because of ENOSPC", "events lost: 2, because of ENOSPC"],
  },
  "says the rest at the end": {
    steps: [
      [0, overflowed(7)],
      [1, overflowed(2)],
      [2, ended],
    ],
    want: [
      "events lost: 7, because the destination is too slow",
      "events lost: 2, because the destination is too slow",
    ],
  },
};

test.each(Object.entries(cases))("%s", (_name, { steps, want }) => {
  const said: string[] = [];
  let nowMs = 0;
  const report = new LossReport({ now: () => nowMs, say: (text) => said.push(text) });
  for (const [second, step] of steps) {
    nowMs = 1_700_000_000_000 + second * 1000;
    step(report);
  }
  expect(said).toEqual(want);
});
