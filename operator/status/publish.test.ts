import { beforeEach, describe, expect, test } from "vitest";
import { KubeError } from "../../lib/kube-error.ts";
import { HASH, makeNode, makePolicy } from "../testing/data.ts";
import { aggregate } from "./aggregate.ts";
import type { NodeFact } from "./equal-nodes.ts";
import type { PolicyStatus } from "./policy-status.ts";
import { StatusPublisher } from "./publish.ts";

let now: number;
let written: PolicyStatus[];
let refusal: KubeError | undefined;
let isThere: boolean;
let publisher: StatusPublisher;

beforeEach(() => {
  now = Date.parse("2026-01-01T00:00:00Z");
  written = [];
  refusal = undefined;
  isThere = true;
  const client = {
    async replaceStatus(_kind: string, _metadata: unknown, status: object) {
      if (refusal) throw refusal;
      if (isThere) written.push(status as PolicyStatus);
      return isThere;
    },
  };
  publisher = new StatusPublisher({ client, now: () => now });
});

const status = (nodes: NodeFact[], generation = 1) =>
  aggregate({ generation, wanted: { hash: HASH, hookCount: 2 } }, nodes);
const pending = [makeNode("a", { entry: null })];
const half = [makeNode("a"), makeNode("b", { entry: null })];
const publish = (nodes: NodeFact[], policy = makePolicy()) =>
  publisher.publish("k", policy, status(nodes, policy.metadata.generation));

describe("publish", () => {
  test("writes the first status at once, with the time of its conditions", async () => {
    expect(await publish(pending)).toMatchObject({
      kind: "written",
      transition: { before: undefined, after: { reason: "RollingOut" } },
    });
    expect(written[0]?.conditions[0]?.lastTransitionTime).toBe("2026-01-01T00:00:00.000Z");
  });

  test("writes nothing when the status is the same, however late", async () => {
    await publish(pending);
    now += 3_600_000;
    expect(await publish(pending)).toEqual({ kind: "unchanged" });
    expect(written).toHaveLength(1);
  });

  test("writes nothing when the API server has that status from an earlier operator", async () => {
    await publish(pending);
    const another = new StatusPublisher({ client: {} as never, now: () => now + 5_000 });
    const policy = makePolicy({ status: written[0] as PolicyStatus });
    expect(await another.publish("k", policy, status(pending))).toEqual({ kind: "unchanged" });
  });

  test("waits instead of writing too fast, and says how long", async () => {
    await publish(pending);
    now += 300;
    expect(await publish([makeNode("a")])).toEqual({ kind: "wait", ms: 700 });
    now += 700;
    expect(await publish([makeNode("a")])).toMatchObject({ kind: "written" });
  });

  test("tells a transition only when Ready changes", async () => {
    await publish(pending);
    now += 10_000;
    expect(await publish(half)).toEqual({ kind: "written", transition: undefined });
  });

  test("begins anew with a new generation", async () => {
    await publish(pending);
    now += 10;
    const edited = makePolicy({ metadata: { name: "p", uid: "uid-p", generation: 2 } });
    expect(await publish(pending, edited)).toMatchObject({ kind: "written" });
    expect(written[1]?.observedGeneration).toBe(2);
  });

  test("takes a policy of the same name with another uid for another policy", async () => {
    await publish([makeNode("a")]);
    const recreated = makePolicy({ metadata: { name: "p", uid: "other", generation: 1 } });
    expect(await publish([makeNode("a")], recreated)).toMatchObject({ kind: "written" });
  });

  test("gives up on a policy that is gone", async () => {
    isThere = false;
    expect(await publish(pending)).toEqual({ kind: "gone" });
  });

  test("throws when the API server cannot, and writes the next time", async () => {
    refusal = new KubeError("PATCH", 500, {});
    await expect(publish(pending)).rejects.toThrow();
    refusal = undefined;
    expect(await publish(pending)).toMatchObject({ kind: "written" });
  });
});

describe("a status that comes by watch", () => {
  test("is nothing new when it is the one that was written", async () => {
    await publish(pending);
    expect(publisher.differs("k", makePolicy({ status: written[0] as PolicyStatus }))).toBe(false);
  });

  test("is overwritten when somebody else wrote it", async () => {
    await publish(pending);
    const forged = makePolicy({ status: { ...(written[0] as PolicyStatus), nodesSummary: "9/9" } });
    expect(publisher.differs("k", forged)).toBe(true);
    publisher.distrust("k", forged);
    now += 10_000;
    expect(await publish(pending)).toMatchObject({ kind: "written" });
    expect(written[1]?.nodesSummary).toBe("0/1");
  });
});
