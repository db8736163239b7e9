/**
 * What GitOps tools conclude from a policy's status, for each kind of status that the operator writes: Flux by its own
 * library, Argo CD by the health script in manifests/gitops in Argo CD's Lua interpreter, and kubectl wait.
 *
 *   node --test e2e/api-server/gitops.api-test.ts
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parse } from "yaml";
import { PLURALS, POLICY_API } from "../../crds/names.ts";
import type { KubeClient } from "../../lib/kube.ts";
import type { KubeObject, Resource } from "../../lib/resources.ts";
import { findBinaries } from "../control-plane/binaries.ts";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { applyCrds } from "../control-plane/crds.ts";
import { PROJECT } from "../runner/run-tests.ts";
import { clientWith } from "./api-clients.ts";

const POLICIES: Resource = {
  ...POLICY_API,
  plural: PLURALS.TracingPolicy,
  kind: "TracingPolicy",
  namespaced: false,
};
const WRITER = { fieldManager: "gitops-test" };
const SETTINGS = parse(readFileSync(join(PROJECT, "manifests/gitops/argocd-cm.yaml"), "utf8")) as {
  data: Record<string, string>;
};

type Condition = [type: string, status: string, reason: string];

interface Case {
  /** Absent: the operator has not seen the policy. */
  conditions?: Condition[];
  /** How many generations the status is behind the policy. */
  behind?: number;
  flux: string;
  argo: string;
  /** Whether `kubectl wait --for=condition=Ready` ends well. */
  isReady: boolean;
}

const CASES: Record<string, Case> = {
  "that the operator has not seen": { flux: "InProgress", argo: "Progressing", isReady: false },
  "that runs everywhere": {
    conditions: [["Ready", "True", "Attached"]],
    flux: "Current",
    argo: "Healthy",
    isReady: true,
  },
  "that rolls out": {
    conditions: [
      ["Ready", "False", "RollingOut"],
      ["Reconciling", "True", "RollingOut"],
    ],
    flux: "InProgress",
    argo: "Progressing",
    isReady: false,
  },
  "whose newest generation the status is not about": {
    conditions: [["Ready", "True", "Attached"]],
    behind: 1,
    flux: "InProgress",
    argo: "Progressing",
    isReady: false,
  },
  "that does not compile": {
    conditions: [
      ["Ready", "False", "InvalidSpec"],
      ["Stalled", "True", "InvalidSpec"],
    ],
    flux: "Failed",
    argo: "Degraded",
    isReady: false,
  },
  "that one of the nodes cannot attach": {
    conditions: [["Ready", "False", "AttachFailed"]],
    flux: "InProgress",
    argo: "Degraded",
    isReady: false,
  },
  "that runs on no node yet, because there is none": {
    conditions: [
      ["Ready", "Unknown", "NoNodes"],
      ["Reconciling", "True", "NoNodes"],
    ],
    flux: "InProgress",
    argo: "Progressing",
    isReady: false,
  },
};

let plane: ControlPlane;
let client: KubeClient;
let health: string;
let directory: string;

before(async () => {
  plane = await startControlPlane();
  await applyCrds(plane);
  client = await clientWith(plane, plane.adminToken, "gitops-test");
  health = (await findBinaries(["gitops-health"], process.env, (line) => console.error(line)))[
    "gitops-health"
  ];
  directory = mkdtempSync(join(tmpdir(), "trigon-gitops-"));
});
after(async () => {
  await plane?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** The policy as the API server has it after the operator has written its status. */
async function makePolicy(name: string, { conditions, behind = 0 }: Case): Promise<KubeObject> {
  const spec = { kprobes: [{ call: "sys_setuid" }] };
  const { metadata } = await client.create<KubeObject>(
    POLICIES,
    { metadata: { name }, spec } as KubeObject,
    WRITER,
  );
  if (conditions) {
    const observedGeneration = metadata.generation ?? 0;
    const lastTransitionTime = new Date().toISOString().replace(/\.\d+/, "");
    const status = {
      observedGeneration,
      conditions: conditions.map(([type, state, reason]) => ({
        ...{ type, status: state, reason, message: `about ${reason}` },
        ...{ observedGeneration, lastTransitionTime },
      })),
    };
    await client.applyStatus(POLICIES, { metadata: { name }, status } as KubeObject, WRITER);
  }
  for (let edit = 0; edit < behind; edit++) {
    const edited = { spec: { kprobes: [{ call: `sys_setgid` }] } };
    await client.mergePatch(POLICIES, { name }, edited, WRITER);
  }
  return client.get<KubeObject>(POLICIES, { name });
}

interface Verdict {
  status: string;
  message: string;
}

function judge(object: KubeObject, script: string): { flux: Verdict; argo: Verdict } {
  const file = join(directory, "health.lua");
  writeFileSync(file, script);
  const { status, stdout, stderr } = spawnSync(health, [file], {
    encoding: "utf8",
    input: JSON.stringify(object),
  });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as { flux: Verdict; argo: Verdict };
}

function waitForReady(name: string): number | null {
  const args = ["wait", "--for=condition=Ready", "--timeout=1s", `tracingpolicy/${name}`];
  return spawnSync(plane.binaries.kubectl, ["--kubeconfig", plane.kubeconfigPath, ...args]).status;
}

describe("a policy", () => {
  for (const [index, [what, wanted]] of Object.entries(CASES).entries()) {
    test(`${what}: ${wanted.flux} for Flux, ${wanted.argo} for Argo CD`, async () => {
      const object = await makePolicy(`policy-${index}`, wanted);
      for (const kind of ["TracingPolicy", "TracingPolicyNamespaced"]) {
        const script = SETTINGS.data[`resource.customizations.health.cilium.io_${kind}`] ?? "";
        const { flux, argo } = judge(object, script);
        assert.deepEqual([flux.status, argo.status], [wanted.flux, wanted.argo], flux.message);
        const isAbout = wanted.conditions && !wanted.behind;
        assert.match(argo.message, isAbout ? /^\w+: about \w+$/ : /^Waiting for Trigon's operator$/);
      }
      assert.equal(waitForReady(object.metadata.name) === 0, wanted.isReady);
    });
  }
});
