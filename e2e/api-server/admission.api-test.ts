/**
 * The operator's admission webhook, asked by a real API server, with the rights that manifests/base gives the operator. The
 * API server runs on this machine and reaches it by URL instead of the Service; all else is the manifest's.
 *
 *   node --test e2e/api-server/admission.api-test.ts
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { parseAllDocuments, stringify } from "yaml";
import type { KubeClient } from "../../lib/kube.ts";
import { createLogger } from "../../lib/logger.ts";
import { createRegistry } from "../../lib/metrics.ts";
import type { KubeObject } from "../../lib/resources.ts";
import { type Admission, startAdmission, WEBHOOKS } from "../../operator/admission/admission.ts";
import { compileAndEncode } from "../../operator/compiler/compiled.ts";
import { type Operator, startOperator } from "../../operator/operator.ts";
import { POLICY_RESOURCES, type PolicyObject } from "../../operator/resources.ts";
import { conditionOf } from "../../operator/status/policy-status.ts";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { applyCrds } from "../control-plane/crds.ts";
import { clientWith, eventually, kubectl, operatorClientWith, serviceAccountToken } from "./api-clients.ts";
import { SimulatedAgent } from "./simulated-agent.ts";

const NAMESPACE = "trigon-system";
const MANIFESTS = resolve(import.meta.dirname, "../../manifests/base");
const POLICIES = POLICY_RESOURCES.TracingPolicy;
const logger = createLogger({ component: "operator", level: "error" });

interface Webhooks extends KubeObject {
  webhooks: { clientConfig: { caBundle?: string; url?: string; service?: object } }[];
}

let plane: ControlPlane;
let admin: KubeClient;
let client: KubeClient;
let operator: Operator;
let admission: Admission | undefined;
let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "trigon-admission-"));
  plane = await startControlPlane();
  await applyCrds(plane);
  admin = await clientWith(plane, plane.adminToken, "trigon-test");
  for (const file of ["namespace.yaml", "operator-rbac.yaml", "agent-rbac.yaml"])
    await kubectl(plane, "apply", "-f", `${MANIFESTS}/${file}`);
  const token = await serviceAccountToken(plane, NAMESPACE, "trigon-operator");
  client = await clientWith(plane, token, "trigon-operator/test");
  const registry = createRegistry({ component: "operator", version: "test", defaultMetrics: false });
  operator = startOperator({
    client: operatorClientWith(plane, token),
    compile: async (policy) => compileAndEncode(policy),
    namespace: NAMESPACE,
    instance: "test",
    logger,
    registry,
  });
  await operator.started;
  admission = await start();
  await installWebhook(admission.port);
  await trusted();
});
after(async () => {
  await admission?.stop();
  await operator?.stop();
  await plane?.stop();
  await rm(directory, { recursive: true });
});
afterEach(async () => {
  for (const { metadata } of await admin.list(POLICIES)) await admin.delete(POLICIES, metadata);
});

const CONFIGURATION = "trigon-policies";

function start(port = 0, now = Date.now): Promise<Admission> {
  const { review } = operator;
  const options = { client, review, configuration: CONFIGURATION, names: ["127.0.0.1"], logger };
  return startAdmission({ ...options, host: "127.0.0.1", port, seenMs: 0, now });
}

async function installWebhook(port: number): Promise<void> {
  const documents = parseAllDocuments(await readFile(`${MANIFESTS}/policy-webhook.yaml`, "utf8"));
  const objects = documents.map((document) => document.toJS() as Webhooks);
  const found = objects.find(({ kind }) => kind === WEBHOOKS.kind);
  assert.ok(found);
  for (const { clientConfig } of found.webhooks) {
    assert.deepEqual(clientConfig.service, {
      namespace: NAMESPACE,
      name: "trigon-operator",
      path: "/validate",
      port: 443,
    });
    delete clientConfig.service;
    clientConfig.url = `https://127.0.0.1:${port}/validate`;
  }
  await apply("webhook", stringify(found));
}

async function caBundle(): Promise<string> {
  const { webhooks } = await admin.get<Webhooks>(WEBHOOKS, { name: CONFIGURATION });
  return webhooks[0]?.clientConfig.caBundle ?? "";
}

/** Waits until the API server asks the webhook and trusts it: it looks at the configuration now and then. */
function trusted(): Promise<void> {
  return eventually(async () => {
    const { status } = await apply("probe", policy("probe", "index: 9"), "--dry-run=server");
    assert.equal(status, 1);
  });
}

const policy = (name: string, argument = "index: 0", call = "sys_setuid") => `
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: ${name} }
spec:
  kprobes:
    - { call: ${call}, syscall: ${call.startsWith("sys_")}, args: [{ ${argument}, type: int }] }
`;

/** kubectl as a user runs it. */
async function apply(name: string, text: string, ...flags: string[]) {
  const file = join(directory, `${name}.yaml`);
  await writeFile(file, text);
  const args = ["--kubeconfig", plane.kubeconfigPath, "apply", "-f", file, ...flags];
  return new Promise<{ status: number; stdout: string; stderr: string }>((resolve) => {
    execFile(plane.binaries.kubectl, args, (error, stdout, stderr) => {
      resolve({ status: error ? 1 : 0, stdout, stderr });
    });
  });
}

const names = async () => (await admin.list(POLICIES)).map(({ metadata }) => metadata.name);

test("a policy that cannot compile is refused at once, with field and reason", async () => {
  const { status, stderr } = await apply("broken", policy("broken", "index: 9"));
  assert.equal(status, 1);
  assert.match(
    stderr,
    /admission webhook "policies\.trigon\.dev" denied the request: spec\.kprobes\[0\]\.args\[0\]\.index: /,
  );
  assert.deepEqual(await names(), []);
});

test("a dry run is answered like the real thing, and changes nothing", async () => {
  const good = await apply("good", policy("good"), "--dry-run=server");
  assert.deepEqual(
    [good.status, good.stdout.trim()],
    [0, "tracingpolicy.cilium.io/good created (server dry run)"],
  );
  const bad = await apply("bad", policy("bad", "index: 9"), "--dry-run=server");
  assert.match(bad.stderr, /spec\.kprobes\[0\]\.args\[0\]\.index: /);
  assert.deepEqual(await names(), []);
});

test("an edit is refused, and what ran before stays", async () => {
  assert.equal((await apply("p", policy("p"))).status, 0);
  const { stderr } = await apply("p", policy("p", "index: 9"));
  assert.match(stderr, /denied the request: spec\.kprobes\[0\]/);
  assert.equal((await admin.get<PolicyObject>(POLICIES, { name: "p" })).metadata.generation, 1);
});

describe("kubectl prints warnings", () => {
  test("about noise", async () => {
    const noisy = policy("noisy", "index: 0", "commit_creds").replace("type: int", "type: cred");
    const { status, stderr } = await apply("noisy", noisy);
    assert.equal(status, 0);
    assert.match(stderr, /^Warning: spec\.kprobes\[0\].*commit_creds runs at every exec/m);
  });

  test("about nodes whose agents have not found a call", async () => {
    const agent = new SimulatedAgent(admin, NAMESPACE, "node-a");
    await agent.start();
    await agent.reportMissing("gone_creds");
    const { stderr } = await eventually(async () => {
      const answer = await apply("gone", policy("gone", "index: 0", "gone_creds"), "--dry-run=server");
      assert.match(answer.stderr, /gone_creds: is not there/);
      return answer;
    });
    assert.match(
      stderr,
      /^Warning: spec\.kprobes\[0\]: gone_creds: is not there on 1 of 1 nodes \(node-a\)$/m,
    );
    await agent.vanish();
  });
});

test("a CA bundle that somebody overwrites is put right", async () => {
  const before = await caBundle();
  assert.notEqual(before, "");
  await kubectl(
    plane,
    "patch",
    "validatingwebhookconfiguration",
    CONFIGURATION,
    "--type=json",
    "-p",
    JSON.stringify([{ op: "remove", path: "/webhooks/0/clientConfig/caBundle" }]),
  );
  await eventually(async () => assert.equal(await caBundle(), before));
  await trusted();
});

test("a renewed certificate is trusted before it is used", async () => {
  const before = await caBundle();
  await admission?.renew();
  assert.notEqual(await caBundle(), before);
  await trusted();
});

test("with the operator away a policy is stored, and its status says later what is wrong", async () => {
  const port = admission?.port;
  await admission?.stop();
  admission = undefined;
  const { status } = await apply("away", policy("away", "index: 9"));
  assert.equal(status, 0);
  await eventually(async () => {
    const stored = await admin.get<PolicyObject>(POLICIES, { name: "away" });
    const ready = conditionOf(stored.status?.conditions, "Ready");
    assert.match(ready?.message ?? "", /spec\.kprobes\[0\]\.args\[0\]\.index: /);
  });
  admission = await start(port);
  await trusted();
});

test("a certificate that cannot be published is not used", async () => {
  const before = await caBundle();
  const roles = ["clusterrole/trigon-operator", "-o", "json"];
  const { rules } = JSON.parse(await kubectl(plane, "get", ...roles)) as { rules: { resources: string[] }[] };
  const index = rules.findIndex(({ resources }) => resources.includes("validatingwebhookconfigurations"));
  const patch = JSON.stringify([{ op: "replace", path: `/rules/${index}/verbs`, value: ["list", "watch"] }]);
  await kubectl(plane, "patch", "clusterrole/trigon-operator", "--type=json", "-p", patch);
  const question = ["can-i", "patch", "validatingwebhookconfigurations/trigon-policies"];
  const account = `system:serviceaccount:${NAMESPACE}:trigon-operator`;
  await eventually(() => assert.rejects(kubectl(plane, "auth", ...question, "--as", account)));
  await assert.rejects(admission?.renew() ?? Promise.resolve(), /cannot be published/);
  assert.equal(await caBundle(), before);
  await trusted();
  await kubectl(plane, "apply", "-f", `${MANIFESTS}/operator-rbac.yaml`);
  await eventually(async () => {
    await admission?.renew();
    assert.notEqual(await caBundle(), before);
  });
  await trusted();
});

test("with an expired certificate a policy is stored unasked, until the certificate is renewed", async () => {
  const port = admission?.port;
  await admission?.stop();
  let days = 100; // longer than a certificate lasts
  admission = await start(port, () => Date.now() - days * 86_400_000);
  await eventually(async () => assert.equal((await apply("late", policy("late", "index: 9"))).status, 0));
  days = 0;
  await admission.renew();
  await trusted();
});

describe("what is no review gets a clear answer", () => {
  const post = (body: string, path = "/validate") =>
    new Promise<{ status: number | undefined; text: string }>((done, fail) => {
      const options = {
        port: admission?.port,
        host: "127.0.0.1",
        path,
        method: "POST",
        rejectUnauthorized: false,
      };
      const sent = request(options, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response.on("end", () => done({ status: response.statusCode, text: text.trim() }));
      });
      sent.on("error", fail).end(body);
    });

  const cases: [name: string, body: string, status: number, text: RegExp][] = [
    ["no JSON", "kprobes: []", 400, /^the body is no JSON: /],
    [
      "another object",
      '{"kind":"Pod","apiVersion":"v1"}',
      400,
      /expected admission\.k8s\.io\/v1 AdmissionReview, got "v1" "Pod"/,
    ],
    [
      "no request",
      '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}',
      400,
      /^request: expected an object/,
    ],
    ["8 MiB and more", `"${"x".repeat(8 << 20)}"`, 413, /more than 8388608 bytes/],
  ];
  for (const [name, body, status, text] of cases) {
    test(name, async () => {
      const answer = await post(body);
      assert.equal(answer.status, status);
      assert.match(answer.text, text);
      assert.equal((await apply("good", policy("good"))).status, 0);
    });
  }

  test("another path", async () => {
    assert.deepEqual(await post("{}", "/mutate"), { status: 404, text: "only /validate is here" });
  });
});
