import { beforeEach, describe, expect, test } from "vitest";
import { NotLeadingError } from "./cluster/leadership.ts";
import type { Compiled } from "./compiler/compiled.ts";
import type { WantedSpec } from "./distribute/plan.ts";
import type { Again } from "./distribute/repair-pace.ts";
import { type ReconcileDeps, reconcile } from "./reconcile.ts";
import type { PolicyObject } from "./resources.ts";
import { makePolicy, makeWanted } from "./testing/data.ts";

const REF = { kind: "TracingPolicy", name: "p" } as const;
const newest = makeWanted(2, "sys_setgid");
const lastGood = makeWanted(1, "sys_setuid");

let said: string[];
let distributed: string[];
beforeEach(() => {
  said = [];
  distributed = [];
});

interface World {
  policy?: PolicyObject;
  compiled?: Compiled;
  lastGood?: WantedSpec;
  applyFails?: Error;
  again?: Again;
  /** Happens while the policy is compiled. */
  meanwhile?: () => void;
}

function makeDeps(world: World): ReconcileDeps {
  return {
    findPolicy: () => world.policy,
    compile: async () => {
      const compiled = world.compiled ?? { ok: true, ...newest, calls: [], warnings: [] };
      world.meanwhile?.();
      return compiled;
    },
    isInUse: () => false,
    specs: {
      apply: async (wanted) => {
        if (world.applyFails) throw world.applyFails;
        distributed.push(`apply ${wanted.hash}`);
        return world.again;
      },
      remove: async () => {
        distributed.push("remove");
        return undefined;
      },
      lastGood: async () => world.lastGood,
      distributed: () => world.lastGood,
    },
    reporter: {
      accept: (_policy, wanted) => said.push(`accept ${wanted.hash} of generation ${wanted.generation}`),
      reject: (_policy, message, running) => said.push(`reject ${message} ${running?.hash}`),
      fail: (_policy, message, running) => said.push(`fail ${message} ${running?.hash}`),
      terminate: ({ metadata }) => said.push(`terminate generation ${metadata.generation}`),
      forget: (key) => said.push(`forget ${key}`),
    },
  };
}

const policy = makePolicy({ metadata: { name: "p", uid: "u", generation: 2 } });
const invalid: Compiled = {
  ok: false,
  errors: [{ path: "spec.kprobes", message: "is empty" }],
  moreErrors: 0,
};
const cases: Record<string, { world: World; said: string[]; distributed: string[] }> = {
  "distributes what compiles": {
    world: { policy },
    said: [`accept ${newest.hash} of generation 2`],
    distributed: [`apply ${newest.hash}`],
  },
  "removes the specs of a policy that is gone": {
    world: {},
    said: ["forget TracingPolicy/p"],
    distributed: ["remove"],
  },
  "removes the specs of a policy that is being deleted and waits for a finalizer": {
    world: {
      policy: makePolicy({
        metadata: { name: "p", generation: 3, deletionTimestamp: "2026-01-01T00:00:00Z" },
      }),
    },
    said: ["terminate generation 3"],
    distributed: ["remove"],
  },
  "keeps the last good spec of an invalid policy distributed": {
    world: { policy, compiled: invalid, lastGood },
    said: [`reject spec.kprobes: is empty ${lastGood.hash}`],
    distributed: [`apply ${lastGood.hash}`],
  },
  "distributes nothing for a policy that never was valid": {
    world: { policy, compiled: invalid },
    said: ["reject spec.kprobes: is empty undefined"],
    distributed: [],
  },
};
describe("reconcile", () => {
  test.each(Object.entries(cases))("%s", async (_name, one) => {
    await reconcile(makeDeps(one.world), REF);
    expect(said).toEqual(one.said);
    expect(distributed).toEqual(one.distributed);
  });

  test.each<[string, (world: World) => void]>([
    ["is deleted", (world) => delete world.policy],
    [
      "gets another generation",
      (world) => (world.policy = makePolicy({ metadata: { name: "p", uid: "u", generation: 3 } })),
    ],
    [
      "is another object",
      (world) => (world.policy = makePolicy({ metadata: { name: "p", uid: "v", generation: 2 } })),
    ],
  ])(
    "does nothing about a policy that %s while it is compiled: the queue has it again",
    async (_name, change) => {
      const world: World = { policy, meanwhile: () => change(world) };
      await reconcile(makeDeps(world), REF);
      expect([...said, ...distributed]).toEqual([]);
    },
  );

  test("comes back when a repair has to wait, and reports what is wrong until then", async () => {
    const again = { againAfterMs: 4_000, problem: "it does not stay" };
    expect(await reconcile(makeDeps({ policy, again, lastGood }), REF)).toEqual(again);
    expect(said).toEqual([`fail it does not stay ${lastGood.hash}`]);
  });

  test("accepts a policy of which only an earlier spec has to wait for its removal", async () => {
    const again = { againAfterMs: 4_000 };
    expect(await reconcile(makeDeps({ policy, again }), REF)).toEqual(again);
    expect(said).toEqual([`accept ${newest.hash} of generation 2`]);
  });

  test("reports no failure of the policy when the lead is lost, and lets the queue try again", async () => {
    const lost = new Error("create configmap a", { cause: new NotLeadingError() });
    await expect(reconcile(makeDeps({ policy, applyFails: lost }), REF)).rejects.toThrow(lost);
    expect(said).toEqual([]);
  });

  test("says that the spec could not be written, what still runs, and lets the queue try again", async () => {
    await expect(
      reconcile(makeDeps({ policy, applyFails: new Error("POST /api/v1/configmaps: 403"), lastGood }), REF),
    ).rejects.toThrow("403");
    expect(said).toEqual([`fail POST /api/v1/configmaps: 403 ${lastGood.hash}`]);
  });
});
