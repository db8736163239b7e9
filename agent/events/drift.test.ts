import { describe, expect, test } from "vitest";
import { DRIFT_AT_COMMIT, DRIFT_AT_EXIT, DRIFT_AT_FORK, DRIFT_OF_HOOK } from "../records/layout.ts";
import { type CredChangeFields, type HookFields, makeBatch } from "../records/testing/records.ts";
import { makeHit, makeHookDef, parseLines, setupShell } from "./testing/pipeline.ts";

const RAISED: CredChangeFields = { changed: ["uid"], old: { uid: 1000 }, new: { uid: 0 } };

/** The event of a record of drift; JSON and protobuf must agree on it. */
function eventOf(fields: Partial<HookFields>) {
  const parts = setupShell(makeHookDef({ call: "security_capable" }));
  parts.pipeline.handleBatch(makeBatch(makeHit([], { credChange: RAISED, action: 0, ...fields })));
  return { ...parts, event: parseLines(parts.sink.takeLines())[0] };
}

describe("credential_drift", () => {
  test("has process, parent, the place where it was noticed, and old and new", () => {
    const { event } = eventOf({ hookId: DRIFT_AT_EXIT });
    expect(Object.keys(event)).toEqual(["credential_drift", "node_name", "time"]);
    expect(event.credential_drift).toMatchObject({
      process: { pid: 10, binary: "/bin/sh" },
      noticed_at: "exit",
      credential_change: { uid: { old: 1000, new: 0 } },
    });
    expect(event.credential_drift).not.toHaveProperty("policy_name");
    expect(event.credential_drift).not.toHaveProperty("action");
  });

  test.each([
    [DRIFT_AT_COMMIT, "commit_creds"],
    [DRIFT_AT_FORK, "fork"],
  ])("is noticed by sensor %i at %s", (hookId, place) => {
    expect(eventOf({ hookId }).event.credential_drift.noticed_at).toBe(place);
  });

  test("is noticed by a hook, and names its function and its policy", () => {
    const { event } = eventOf({ hookId: DRIFT_OF_HOOK | 7 });
    expect(event.credential_drift).toMatchObject({ noticed_at: "security_capable", policy_name: "creds" });
  });

  test("of a hook that is not registered is counted, and is no event", () => {
    const { event, metrics } = eventOf({ hookId: DRIFT_OF_HOOK | 8 });
    expect([event, metrics.unknownHookRecords]).toEqual([undefined, 1]);
  });

  test("of a hook that was retired is still its own for a while, and then forgotten", () => {
    const { pipeline, sink, metrics, clock } = eventOf({ hookId: DRIFT_OF_HOOK | 7 });
    pipeline.retireHook(7);
    const again = (ktimeNs: bigint) => {
      pipeline.handleBatch(
        makeBatch(makeHit([], { credChange: RAISED, hookId: DRIFT_OF_HOOK | 7, ktimeNs })),
      );
      clock.nowMs = Number(ktimeNs / 1_000_000n);
      pipeline.tick();
      return parseLines(sink.takeLines()).length;
    };
    expect([again(1_000_000_000n), again(60_000_000_000n), again(61_000_000_000n)]).toEqual([1, 1, 0]);
    expect(metrics.unknownHookRecords).toBe(1);
  });

  test("is counted under its own type", async () => {
    const { registry } = eventOf({ hookId: DRIFT_AT_EXIT });
    expect(await registry.metrics()).toContain('type="CREDENTIAL_DRIFT"');
  });
});
