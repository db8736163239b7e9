/**
 * The definitions on a real API server: they install, keep every field, store what was applied, and refuse the same
 * policies as the compiler does offline, and show the columns.
 *
 *   node --test e2e/api-server/crds.api-test.ts
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parse } from "yaml";
import { makeTracingNodeStatus } from "../../agent/status/tracing-node.ts";
import { ARGUMENT_TYPES } from "../../crds/argument-types.ts";
import { PLURALS, POLICY_API, type PolicyKind, TRIGON_API } from "../../crds/names.ts";
import { TRACING_NODE } from "../../crds/schema/node.ts";
import { POLICY_STATUS } from "../../crds/schema/status.ts";
import type { Structural } from "../../crds/schema/structural.ts";
import type { KubeClient } from "../../lib/kube.ts";
import { type KubeObject, type Resource, resourcePath } from "../../lib/resources.ts";
import { compileParsed, compilePolicy } from "../../policy/compile.ts";
import { parsePolicies } from "../../policy/parse.ts";
import { Problems } from "../../policy/problems.ts";
import { checkPolicy } from "../../policy/schema/check.ts";
import { POLICY_SCHEMAS } from "../../policy/schema/json-schema.ts";
import { makeRandom, mutate, pick } from "../../policy/testing/mutations.ts";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { clientWith } from "./api-clients.ts";
import { makeMaximal, settablePaths } from "./maximal-policy.ts";

const CRDS = join(import.meta.dirname, "../../crds");
const WRITER = { fieldManager: "crds-test" };
const RESOURCES: Record<PolicyKind | "TracingNode", Resource> = {
  TracingPolicy: { ...POLICY_API, plural: PLURALS.TracingPolicy, kind: "TracingPolicy", namespaced: false },
  TracingPolicyNamespaced: {
    ...POLICY_API,
    plural: PLURALS.TracingPolicyNamespaced,
    kind: "TracingPolicyNamespaced",
    namespaced: true,
  },
  TracingNode: { ...TRIGON_API, plural: PLURALS.TracingNode, kind: "TracingNode", namespaced: false },
};
const KINDS = ["TracingPolicy", "TracingPolicyNamespaced"] as const;

type Any = KubeObject & { spec?: unknown; status?: unknown };

let plane: ControlPlane;
let client: KubeClient;

/** Runs kubectl as admin; never throws. */
function kubectl(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(
    plane.binaries.kubectl,
    ["--kubeconfig", plane.kubeconfigPath, ...args],
    {
      encoding: "utf8",
    },
  );
  return { status, stdout, stderr };
}

function succeed(...args: string[]): string {
  const { status, stdout, stderr } = kubectl(...args);
  assert.equal(status, 0, `kubectl ${args.join(" ")}: ${stderr}`);
  return stdout;
}

function examples(directory: string): { name: string; file: string; text: string }[] {
  return readdirSync(join(CRDS, "examples", directory)).map((name) => {
    const file = join(CRDS, "examples", directory, name);
    return { name, file, text: readFileSync(file, "utf8") };
  });
}

before(async () => {
  plane = await startControlPlane();
  client = await clientWith(plane, plane.adminToken, "crds-test");
});
after(() => plane?.stop());

test("kubectl apply installs every definition without a warning, twice", () => {
  const files = ["tracingpolicies", "tracingpoliciesnamespaced", "tracingnodes"].flatMap((name) => [
    "-f",
    join(CRDS, `${name}.yaml`),
  ]);
  for (const verb of ["created", "unchanged"]) {
    const { status, stdout, stderr } = kubectl("apply", "--warnings-as-errors", ...files);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
    assert.equal(stdout.split(verb).length - 1, 3, stdout);
  }
  succeed("wait", "--for=condition=Established", "--timeout=30s", ...files);
  for (const plural of [
    "tracingpolicies.cilium.io",
    "tracingpoliciesnamespaced.cilium.io",
    "tracingnodes.trigon.dev",
  ]) {
    const crd = JSON.parse(succeed("get", "crd", plural, "-o", "json")) as {
      status: { conditions: { type: string; status: string; message: string }[] };
    };
    const bad = crd.status.conditions.filter(
      ({ type, status }) => type === "NonStructuralSchema" && status === "True",
    );
    assert.deepEqual(bad, []);
  }
});

test("the manifests applied a second time change nothing, and server-side apply takes over without a conflict", () => {
  const overlay = ["-k", join(CRDS, "../manifests/overlays/default")];
  succeed("apply", ...overlay);
  const again = succeed("apply", ...overlay)
    .trim()
    .split("\n");
  // kubectl sends the selector of a PodDisruptionBudget each time; the API server finds nothing new in it.
  assert.deepEqual(
    again.filter((line) => !line.endsWith(" unchanged")),
    ["poddisruptionbudget.policy/trigon-operator configured"],
  );
  const generation = ["-n", "trigon-system", "-o", "jsonpath={.metadata.generation}"];
  assert.equal(succeed("get", "poddisruptionbudget", "trigon-operator", ...generation), "1");
  succeed("apply", "--server-side", ...overlay);
});

/** Messages of kubectl that do not name the field. */
const KUBECTL_WORDS: Record<string, string> = {
  "empty-file.yaml": "no objects passed to apply",
  "other-api-version.yaml": 'no matches for kind "TracingPolicy" in version "cilium.io/v1"',
  "return-without-return-arg.yaml":
    "spec.kprobes[0].returnArg: Invalid value: is missing: return: true needs it",
};

describe("examples", () => {
  for (const { name, file, text } of examples("valid")) {
    test(`${name} is applied, and compiles to the same spec as the file`, async () => {
      const [parsed] = parsePolicies(text, file).policies;
      assert.ok(parsed);
      const fromFile = compileParsed(parsed);
      assert.ok(fromFile.ok);
      succeed("apply", "--warnings-as-errors", "-f", file);
      const { kind, ...at } = fromFile.spec.policy;
      const live = await client.get<Any>(RESOURCES[kind], at);
      assert.deepEqual(live.spec, (parse(text) as Any).spec, "the API server stores what was applied");
      const fromCluster = compilePolicy(live);
      assert.deepEqual(fromCluster.ok && fromCluster.hash, fromFile.hash);
      // GitOps tools change from one to the other; a default written into a list would be a conflict.
      succeed("apply", "--server-side", "-f", file);
      assert.deepEqual((await client.get<Any>(RESOURCES[kind], at)).spec, live.spec);
    });
  }

  for (const { name, file, text } of examples("invalid")) {
    const [, who, path] = /^# Refused by (.*?), at \S+ ([^:\s]+): /.exec(text) ?? [];
    if (who === "the operator") {
      test(`${name} is applied, and refused by the compiler at ${path}`, async () => {
        succeed("apply", "--warnings-as-errors", "-f", file);
        const live = await client.get<Any>(RESOURCES.TracingPolicy, nameOf(text));
        const result = compilePolicy(live);
        assert.equal(result.ok ? "compiles" : result.errors[0]?.path, path);
      });
    } else if (text.startsWith("# Refused by kubectl") || text === "") {
      test(`${name} is refused by kubectl apply`, () => {
        const { status, stderr } = kubectl("apply", "-f", file);
        assert.equal(status, 1, stderr);
        const field = /(\w+)(?:\[\d+\])?$/.exec(path ?? "")?.[1];
        const expected = KUBECTL_WORDS[name] ?? field ?? "error converting YAML to JSON";
        assert.ok(stderr.includes(expected), `${stderr} does not name ${expected}`);
      });
    } else {
      test(`${name} is applied: the API server cannot detect the mistake`, () => {
        succeed("apply", "--warnings-as-errors", "-f", file);
      });
    }
  }
});

function nameOf(text: string): { name: string } {
  return (parse(text) as { metadata: { name: string } }).metadata;
}

describe("every field of the schema is kept", () => {
  for (const kind of KINDS) {
    test(kind, async () => {
      const specSchema = specOf(kind);
      const resource = RESOURCES[kind];
      const set = new Set<string>();
      for (let number = 0; number < ARGUMENT_TYPES.length; number++) {
        const metadata = {
          name: `maximal-${number}`,
          ...(resource.namespaced ? { namespace: "default" } : {}),
        };
        const spec = makeMaximal(specSchema, number, set) as Record<string, unknown>;
        const object = await createStrictly(resource, { metadata, spec });
        assert.deepEqual(object.spec, spec);
        const read = await client.get<Any>(resource, metadata);
        assert.deepEqual(read.spec, spec);
        await client.delete(resource, metadata);
      }
      assert.deepEqual(
        settablePaths(specSchema).filter((path) => !set.has(path)),
        [],
      );
      assert.ok(set.size > 1200, `only ${set.size} fields and words`);
    });
  }

  const statuses: [kind: keyof typeof RESOURCES, schema: Structural, spec: object][] = [
    ["TracingPolicy", POLICY_STATUS, { spec: {} }],
    ["TracingNode", TRACING_NODE.properties?.status ?? {}, {}],
  ];
  for (const [kind, schema, spec] of statuses) {
    test(`the status of ${kind}`, async () => {
      const name = "status-of-all";
      const status = withDates(makeMaximal(schema, 0, new Set()));
      await client.create<Any>(RESOURCES[kind], { metadata: { name }, ...spec, status }, WRITER);
      const unseen = kind === "TracingNode" ? undefined : { observedGeneration: -1 };
      const { status: created } = await client.get<Any>(RESOURCES[kind], { name });
      assert.deepEqual(created, unseen, "only the subresource writes it");
      await client.applyStatus<Any>(RESOURCES[kind], { metadata: { name }, status }, WRITER);
      assert.deepEqual((await client.get<Any>(RESOURCES[kind], { name })).status, status);
      await client.delete(RESOURCES[kind], { name });
    });
  }
});

/** Namespaced policies may not have a host selector at all. */
function specOf(kind: PolicyKind): Structural {
  const spec = POLICY_SCHEMAS[kind].properties?.spec ?? {};
  if (kind === "TracingPolicy") return spec;
  const { hostSelector: _, ...properties } = spec.properties ?? {};
  return { ...spec, properties };
}

/** Replaces date placeholders by a date, and makes strings match their patterns. */
function withDates(status: unknown): unknown {
  return JSON.parse(
    JSON.stringify(status, (key, value: unknown) =>
      ["lastTransitionTime", "bootTime"].includes(key)
        ? "2026-11-24T20:00:00Z"
        : key === "reason"
          ? "Reason"
          : uniqueTypes(key, value),
    ),
  );
}

function uniqueTypes(key: string, value: unknown): unknown {
  if (key !== "conditions" || !Array.isArray(value)) return value;
  return value.map((condition: object, index) => ({ ...condition, type: `Type${index}` }));
}

interface Answer {
  status: number;
  body: Any & { message?: string };
}

/** Creates without pruning: an unknown field is an error. */
async function post(resource: Resource, object: Any, dryRun: boolean): Promise<Answer> {
  const { namespace } = object.metadata;
  const { status, text } = await client.transport.send({
    method: "POST",
    path: resourcePath(resource, namespace === undefined ? {} : { namespace }),
    query: { fieldValidation: "Strict", ...(dryRun ? { dryRun: "All" } : {}) },
    body: { apiVersion: `${resource.group}/${resource.version}`, kind: resource.kind, ...object },
  });
  return { status, body: JSON.parse(text) as Answer["body"] };
}

async function createStrictly(resource: Resource, object: Any): Promise<Any> {
  const { status, body } = await post(resource, object, false);
  assert.equal(status, 201, body.message);
  return body;
}

test("TracingPolicyNamespaced refuses a hostSelector, as upstream's rule does", async () => {
  const metadata = { name: "host", namespace: "default" };
  const { status, body } = await post(
    RESOURCES.TracingPolicyNamespaced,
    { metadata, spec: { hostSelector: {} } },
    true,
  );
  assert.equal(status, 422);
  assert.match(
    body.message ?? "",
    /hostSelector: Invalid value: is not allowed in a TracingPolicyNamespaced/,
  );
  const cluster = await post(
    RESOURCES.TracingPolicy,
    { metadata: { name: "host" }, spec: { hostSelector: {} } },
    true,
  );
  assert.equal(cluster.status, 201, cluster.body.message);
});

/**
 * Sends the same 400 mutated policies to the API server and to the offline check: both must accept, or both must
 * refuse. Nulls are left out because the two differ there on purpose: in a file they count as absent.
 */
test("the compiler's schema check refuses what the API server refuses, and nothing else", async () => {
  const objects = examples("valid").map(({ text }) => parse(text) as Any);
  const random = makeRandom(99);
  const tally = { accepted: 0, refused: 0 };
  for (let round = 0; round < 400; round++) {
    const original = pick(random, objects);
    const { spec } = mutate(random, { spec: original.spec }) as { spec: unknown };
    const sent = withoutNulls({ metadata: { name: "mutated" }, spec }) as Any;
    const problems = new Problems();
    checkPolicy({ apiVersion: POLICY_API.apiVersion, kind: "TracingPolicy", ...sent }, "exact", problems);
    const { status, body } = await post(RESOURCES.TracingPolicy, sent, true);
    assert.ok([201, 400, 422].includes(status), `${status} ${body.message}`);
    const theirs = status === 201 ? "accepted" : "refused";
    const ours = problems.errors.length === 0 ? "accepted" : "refused";
    const details = `${JSON.stringify(sent)}\nAPI server: ${body.message}\nours: ${JSON.stringify(problems.errors)}`;
    assert.equal(ours, theirs, details);
    tally[theirs]++;
  }
  assert.ok(tally.accepted > 40 && tally.refused > 40, JSON.stringify(tally));
});

/** The value after a round trip through JSON, without nulls. */
function withoutNulls(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, member: unknown) => {
      if (member === null) return undefined;
      return Array.isArray(member) ? member.filter((item) => item !== null && item !== undefined) : member;
    }),
    (_key, member: unknown) =>
      Array.isArray(member) ? member.filter((item) => item !== null) : (member ?? undefined),
  );
}

describe("kubectl get", () => {
  const metadata = { name: "columns" };
  const status = {
    observedGeneration: 1,
    nodesSummary: "2/3",
    hooksSummary: "7/8",
    conditions: [
      {
        type: "Ready",
        status: "False",
        reason: "AttachFailed",
        message: "node b: attach fentry",
        lastTransitionTime: "2026-11-24T20:00:00Z",
      },
    ],
  };
  before(async () => {
    const kprobes = [{ call: "sys_setuid" }];
    await client.create<Any>(RESOURCES.TracingPolicy, { metadata, spec: { kprobes } }, WRITER);
    await client.applyStatus<Any>(RESOURCES.TracingPolicy, { metadata, status }, WRITER);
    const namespaced = { ...metadata, namespace: "default" };
    await client.create<Any>(
      RESOURCES.TracingPolicyNamespaced,
      { metadata: namespaced, spec: { kprobes } },
      WRITER,
    );
  });

  const cells = (line = "") => line.trim().split(/\s{2,}/);

  test("shows READY, NODES, HOOKS, REASON and AGE, and which edit that is about", () => {
    const [header, row] = succeed("get", "tracingpolicies", "columns").trimEnd().split("\n");
    assert.deepEqual(cells(header), [
      "NAME",
      "READY",
      "NODES",
      "HOOKS",
      "REASON",
      "AGE",
      "GENERATION",
      "OBSERVED",
    ]);
    assert.deepEqual(cells(row).slice(0, 5), ["columns", "False", "2/3", "7/8", "AttachFailed"]);
    assert.deepEqual(cells(row).slice(-2), ["1", "1"]);
  });

  test("-o wide adds PODS, EVENTS and MESSAGE", () => {
    const [header, row] = succeed("get", "tgtp", "columns", "-o", "wide").trimEnd().split("\n");
    assert.deepEqual(cells(header).slice(-4), ["OBSERVED", "PODS", "EVENTS", "MESSAGE"]);
    assert.equal(cells(row).at(-1), "node b: attach fentry");
  });

  test("shows READY, KERNEL, POLICIES, LOST, AGENT and AGE of nodes, and with -o wide the first failure", async () => {
    const node = { name: "columns" };
    const facts = {
      agentVersion: "1.2.3",
      kernel: { release: "6.1.0", architecture: "x86_64", features: {}, reasons: {} },
    };
    const outcome = { specHash: "a", attachedHash: "a", state: "Attached" as const, hooks: [] };
    const outcomes = ["p", "q"].map((name) => ({
      ...outcome,
      ref: { kind: "TracingPolicy" as const, name },
    }));
    const status = makeTracingNodeStatus(facts, outcomes, 345);
    await client.create<Any>(RESOURCES.TracingNode, { metadata: node }, WRITER);
    await client.applyStatus<Any>(RESOURCES.TracingNode, { metadata: node, status }, WRITER);
    const [header, row] = succeed("get", "tracingnodes", "columns").trimEnd().split("\n");
    assert.deepEqual(cells(header), ["NAME", "READY", "KERNEL", "POLICIES", "LOST", "AGENT", "AGE"]);
    assert.deepEqual(cells(row).slice(0, 6), ["columns", "True", "6.1.0", "2/2", "200+", "1.2.3"]);

    const failed = { state: "Failed" as const, message: "no such function", hooks: [] };
    const failures = ["r", "s"].map((name) => ({
      ...{ ...failed, specHash: "a" },
      ref: { kind: "TracingPolicy" as const, name },
    }));
    const failing = makeTracingNodeStatus(facts, [...outcomes, ...failures]);
    await client.applyStatus<Any>(RESOURCES.TracingNode, { metadata: node, status: failing }, WRITER);
    const [wide, one] = succeed("get", "tracingnodes", "columns", "-o", "wide").trimEnd().split("\n");
    assert.deepEqual(cells(wide).slice(-3), ["AGE", "FAILING", "MESSAGE"]);
    assert.deepEqual(cells(one).slice(1, 4), ["False", "6.1.0", "2/4"]);
    assert.deepEqual(cells(one).slice(-2), ["r", "no such function"]);
    await client.delete(RESOURCES.TracingNode, node);
  });

  test("accepts upstream's short names and category", () => {
    assert.match(succeed("get", "tgtpn", "columns"), /^NAME +READY/);
    const all = succeed("get", "tetragon", "--all-namespaces", "-o", "name");
    assert.match(all, /^tracingpolicy\.cilium\.io\/columns$/m);
    assert.match(all, /^tracingpolicynamespaced\.cilium\.io\/columns$/m);
  });

  test("a change of the status does not change the generation, a change of the spec does", async () => {
    const generation = async () =>
      (await client.get<Any>(RESOURCES.TracingPolicy, metadata)).metadata.generation;
    assert.equal(await generation(), 1);
    await client.applyStatus<Any>(
      RESOURCES.TracingPolicy,
      { metadata, status: { ...status, nodesSummary: "3/3" } },
      WRITER,
    );
    assert.equal(await generation(), 1);
    await client.mergePatch<Any>(
      RESOURCES.TracingPolicy,
      metadata,
      { spec: { kprobes: [{ call: "sys_setgid" }] } },
      WRITER,
    );
    assert.equal(await generation(), 2);
  });

  test("kubectl explain describes every field", () => {
    assert.match(
      succeed("explain", "tracingpolicy.spec.kprobes.selectors.matchActions.rateLimit"),
      /Drops repetitions/,
    );
  });
});
