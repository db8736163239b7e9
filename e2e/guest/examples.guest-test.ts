/**
 * Policies that the compiler accepts load: every hook of the examples, and of policies made of their parts, is attached,
 * or its status names what the kernel lacks. The verifier refuses none. The other examples have tests of their own.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/examples.guest-test.ts
 *
 * @kernels 5.10, 6.12: the kernel that lacks most, and a new one; compat attaches on the newest, stories on 6.1
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { parse } from "yaml";
import type { HookStatus } from "../../agent/hooks/engine.ts";
import { PodStore } from "../../agent/pods/pod-store.ts";
import { WorkloadScopes } from "../../agent/pods/workload-scopes.ts";
import type { HookDef } from "../../crds/hook-spec.ts";
import { createLogger } from "../../lib/logger.ts";
import { compilePolicy } from "../../policy/compile.ts";
import { collectParts, graft, makeRandom, pick } from "../../policy/testing/mutations.ts";
import { checkStatus } from "./lacking.ts";
import { TestEngine } from "./test-engine.ts";

const EXAMPLES = resolve(import.meta.dirname, "../../crds/examples");
/** Hooks of mixed policies that are tried. */
const HOOKS = 40;
const DIRECTORIES = ["valid", "library", "compat"];

interface Example {
  name: string;
  object: unknown;
  hooks: HookDef[];
}

const examples = DIRECTORIES.flatMap((directory) =>
  readdirSync(join(EXAMPLES, directory)).map((file): Example => {
    const object: unknown = parse(readFileSync(join(EXAMPLES, directory, file), "utf8"));
    return { name: `${directory}/${file}`, object, hooks: hooksOf(object) };
  }),
);

/** Empty for a policy that is refused. */
function hooksOf(object: unknown): HookDef[] {
  const result = compilePolicy(object);
  return result.ok ? result.spec.hooks : [];
}

let engine: TestEngine;

before(() => {
  const logger = createLogger({ component: "test", level: "error" });
  // Hooks about pods attach where pods are known, also if there are none.
  const workloads = new WorkloadScopes({ pods: new PodStore(), cgroups: "/sys/fs/cgroup", logger });
  engine = new TestEngine({ workloads });
});

after(() => engine.close());

/** Why a hook whose parts come from different policies may not be attached: its arguments are those of another function. */
const REASONS = ["FunctionNotFound", "KernelUnsupported", "InvalidArgument"];

/** Attaches a hook and detaches it again; fails unless it was attached, or is not for such a reason. */
function tryMixed(def: HookDef): HookStatus {
  const hook = engine.engine.attach(def);
  hook.detach();
  const { state, reason = "", message = "" } = hook.status;
  if (state === "Attached") return hook.status;
  assert.ok(REASONS.includes(reason), `${def.call}: ${reason}: ${message}: ${JSON.stringify(def)}`);
  assert.match(message, /.{10}/, `${def.call}: ${reason} has no message`);
  return hook.status;
}

describe(`examples on ${release()}`, () => {
  for (const { name, hooks } of examples.filter((example) => example.name.startsWith("valid/"))) {
    test(name, (t) => {
      assert.ok(hooks.length > 0, "is refused");
      for (const def of hooks) {
        const hook = engine.engine.attach(def);
        hook.detach();
        checkStatus(hook);
        const { call, state, reason, message } = hook.status;
        if (state !== "Attached") t.diagnostic(`${call}: ${reason}: ${message}`);
      }
    });
  }
});

test(`policies made of parts of the examples on ${release()}`, (t) => {
  const random = makeRandom(20261125);
  const objects = examples.map(({ object }) => object);
  const parts = collectParts(objects);
  const tried = { attached: 0, lacking: 0 };
  while (tried.attached + tried.lacking < HOOKS) {
    for (const def of hooksOf(graft(random, pick(random, objects), parts)).slice(0, 2)) {
      tried[tryMixed(def).state === "Attached" ? "attached" : "lacking"]++;
    }
  }
  t.diagnostic(`${tried.attached} attached, ${tried.lacking} not`);
  assert.ok(tried.attached > HOOKS / 4, `only ${tried.attached} of ${HOOKS} hooks are attached`);
});
