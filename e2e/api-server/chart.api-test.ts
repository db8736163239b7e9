/**
 * The Helm chart with the real helm, and the overlay with the real kustomize (in kubectl), against a real API server with
 * its controllers: the same objects from both, an upgrade, a rollback, an uninstall, and what the objects forbid.
 *
 *   node --test e2e/api-server/chart.api-test.ts
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, describe, test } from "node:test";
import { isMap, isScalar, type Node, parse, parseAllDocuments, parseDocument, type YAMLMap } from "yaml";
import { exitOf } from "../../lib/testing/child-process.ts";
import { findBinaries } from "../control-plane/binaries.ts";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { PROJECT } from "../runner/run-tests.ts";
import { writeOverlay } from "../user-overlay.ts";
import { eventually, freePort, listAllObjects } from "./api-clients.ts";

const CHART = join(PROJECT, "manifests/chart");
const OVERLAY = join(PROJECT, "manifests/overlays/default");
const CRDS = [
  "customresourcedefinition.apiextensions.k8s.io/tracingnodes.trigon.dev",
  "customresourcedefinition.apiextensions.k8s.io/tracingpolicies.cilium.io",
  "customresourcedefinition.apiextensions.k8s.io/tracingpoliciesnamespaced.cilium.io",
];
const EXAMPLES = readdirSync(join(CHART, "examples")).map((name) => join(CHART, "examples", name));

interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
}

let plane: ControlPlane;
let helmProgram: string;
let directory: string;

before(async () => {
  helmProgram = (await findBinaries(["helm"], process.env, (line) => console.error(line))).helm;
  plane = await startControlPlane({ controllers: true });
  directory = mkdtempSync(join(tmpdir(), "trigon-chart-"));
});
after(async () => {
  await plane?.stop();
  rmSync(directory, { recursive: true, force: true });
});

interface PodVariable {
  name: string;
  valueFrom?: { fieldRef: { fieldPath: string } };
}

interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Never throws. */
function run(program: string, args: string[], input?: string): Ended {
  const home = { HELM_CACHE_HOME: directory, HELM_CONFIG_HOME: directory, HELM_DATA_HOME: directory };
  const env = { ...process.env, ...home, KUBECONFIG: plane.kubeconfigPath };
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: "utf8",
    env,
    input,
    maxBuffer: 1 << 26,
  });
  return { status, stdout, stderr };
}

function succeed(program: string, args: string[], input?: string): string {
  const { status, stdout, stderr } = run(program, args, input);
  assert.equal(status, 0, `${program} ${args.join(" ")}: ${stderr}${stdout}`);
  return stdout;
}

const helm = (...args: string[]) => succeed(helmProgram, args);
const kubectl = (...args: string[]) => succeed(plane.binaries.kubectl, args);

/** Objects of a stream, by kind, namespace and name. */
function objectsOf(text: string): Record<string, KubeObject> {
  const objects = parseAllDocuments(text).map((document) => document.toJS() as KubeObject | null);
  const found = objects.filter((object) => object !== null);
  const key = ({ kind, metadata }: KubeObject) => `${kind} ${metadata.namespace ?? ""}/${metadata.name}`;
  return Object.fromEntries(found.map((object) => [key(object), object]));
}

describe("the chart", () => {
  test("passes helm lint, and every example of values is valid and makes objects that the API server takes", () => {
    helm("lint", "--strict", CHART);
    kubectl("create", "namespace", "trigon-system");
    try {
      for (const file of EXAMPLES) {
        helm("lint", "--strict", CHART, "-f", file);
        const rendered = helm("template", "trigon", CHART, "-f", file, "--namespace", "trigon-system");
        const args = ["apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "-f", "-"];
        succeed(plane.binaries.kubectl, args, rendered);
      }
    } finally {
      kubectl("delete", "namespace", "trigon-system", "--wait=true");
    }
  });

  test("makes the same objects as manifests/overlays/default", () => {
    const rendered = objectsOf(helm("template", "trigon", CHART, "--kube-version", "1.36"));
    const built = objectsOf(kubectl("kustomize", OVERLAY));
    assert.deepEqual(Object.keys(rendered).sort(), Object.keys(built).sort());
    for (const [name, object] of Object.entries(rendered)) assert.deepEqual(object, built[name], name);
    assert.ok(Object.keys(rendered).length > 20);
  });

  const refused: Record<string, [setting: string, error: RegExp]> = {
    "an unknown name": ["agent.resource=1", /resource/],
    "a wrong type": ["operator.replicas=two", /\/operator\/replicas/],
    "a value outside of its range": ["agent.metrics.port=0", /\/agent\/metrics\/port/],
    "a value that is none of those it may be": ["rbac.podAccess=all", /\/rbac\/podAccess/],
    "a setting that the agent does not have": [
      "agent.settings.log-levl=debug",
      /\/agent\/settings.*'log-levl'/,
    ],
    "a setting of the operator that another value sets": [
      "operator.settings.metrics-server=:1",
      /\/operator\/settings.*'metrics-server'/,
    ],
    "two servers on one port": [
      "operator.webhook.port=2113",
      /operator\.webhook\.port: 2113 is operator\.metrics\.port/,
    ],
    "a section that is gone": ["writerGuard=null", /missing property 'writerGuard'/],
  };
  for (const [what, [setting, error]] of Object.entries(refused)) {
    test(`refuses ${what} and names it`, () => {
      const { status, stderr } = run(helmProgram, ["template", "trigon", CHART, "--set", setting]);
      assert.equal(status, 1);
      assert.match(stderr, error);
    });
  }

  test("documents every value, in its place or in that of its group", () => {
    const values = parseDocument(readFileSync(join(CHART, "values.yaml"), "utf8")).contents as YAMLMap;
    assert.deepEqual(undocumented(values, "", false), []);
  });

  test("has in its schema the values that it has", () => {
    const schema = parse(readFileSync(join(CHART, "values.schema.json"), "utf8")) as Schema;
    const values = parse(readFileSync(join(CHART, "values.yaml"), "utf8")) as unknown;
    assert.deepEqual(schemaPaths(schema, schema).sort(), [...valuePaths(values), "global"].sort());
  });

  test("has the version of the project", () => {
    const { version, appVersion } = parse(readFileSync(join(CHART, "Chart.yaml"), "utf8")) as Record<
      string,
      string
    >;
    const project = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8")) as { version: string };
    assert.deepEqual([version, appVersion], [project.version, project.version]);
  });

  test("gives agents the pods of their node only, or all pods where the API server is older", () => {
    const verbs = (version: string) => {
      const role = objectsOf(helm("template", "trigon", CHART, "--kube-version", version))[
        "ClusterRole /trigon-agent"
      ];
      const rules = (role as unknown as { rules: { resources: string[]; verbs: string[] }[] }).rules;
      return rules.filter(({ resources }) => resources.includes("pods")).flatMap((rule) => rule.verbs);
    };
    assert.deepEqual(verbs("1.36.0"), [
      "impersonate-on:associated-node:list",
      "impersonate-on:associated-node:watch",
    ]);
    assert.deepEqual(verbs("1.35.9"), ["list", "watch"]);
  });
});

describe("the chart is installed with", () => {
  const odd: Record<string, string[]> = {
    "one operator, without its webhook and without NetworkPolicies": [
      "operator.replicas=1",
      "operator.webhook.enabled=false",
      "networkPolicy.enabled=false",
    ],
    "no operator, which is how it is stopped": ["operator.replicas=0"],
    "metrics without labels": ["agent.metrics.labels=[]"],
    "no class of priority, no toleration, no affinity": [
      'agent.priorityClassName=""',
      'operator.priorityClassName=""',
      "agent.tolerations=[]",
      "agent.affinity={}",
    ],
    "no right for people": ["rbac.aggregateToDefaultRoles=false"],
    "the right to read all pods": ['rbac.podAccess="cluster"'],
  };
  const at = ["--namespace", "odd"];

  before(() => {
    kubectl("create", "namespace", "odd");
  });
  after(() => {
    kubectl("delete", "namespace", "odd", "--wait=true");
    kubectl("delete", ...CRDS);
  });

  for (const [what, settings] of Object.entries(odd)) {
    test(what, () => {
      const sets = settings.flatMap((setting) => ["--set-json", setting]);
      helm("install", "odd", CHART, ...at, "--take-ownership", ...sets);
      const listed = ["-o", "jsonpath={.items[*].kind}"];
      assert.equal(kubectl("get", "daemonset,deployment", ...at, ...listed), "DaemonSet Deployment");
      helm("uninstall", "odd", ...at);
    });
  }
});

/** Paths of values without a comment before them and without one before the group that they are in. */
function undocumented(map: YAMLMap, path: string, isGroupDocumented: boolean): string[] {
  return map.items.flatMap(({ key, value }, index) => {
    const name = isScalar(key) ? String(key.value) : "";
    const comment = (key as Node).commentBefore ?? (index === 0 ? map.commentBefore : undefined);
    const isDocumented = Boolean(comment) || isGroupDocumented;
    if (isMap(value) && value.items.length > 0 && !isData(path + name))
      return undocumented(value, `${path}${name}.`, isDocumented);
    return isDocumented ? [] : [path + name];
  });
}

/** Values that are maps of Kubernetes, not groups of ours. */
const isData = (path: string) => /\.(resources|nodeSelector|affinity|settings|pod\w+)$/.test(path);

interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  properties?: Record<string, Schema>;
}

function schemaPaths(schema: Schema, root: Schema, path = ""): string[] {
  const { properties } = resolve(schema, root);
  if (!properties || isData(path)) return [path];
  return Object.entries(properties).flatMap(([name, next]) =>
    schemaPaths(next, root, path === "" ? name : `${path}.${name}`),
  );
}

function resolve(schema: Schema, root: Schema): Schema {
  const name = schema.$ref?.replace("#/$defs/", "");
  return name === undefined ? schema : (root.$defs?.[name] ?? {});
}

function valuePaths(value: unknown, path = ""): string[] {
  const isGroup = typeof value === "object" && value !== null && !Array.isArray(value) && !isData(path);
  if (!isGroup) return [path];
  return Object.entries(value).flatMap(([name, next]) =>
    valuePaths(next, path === "" ? name : `${path}.${name}`),
  );
}

describe("a release", () => {
  const image = () =>
    kubectl("get", "daemonset", "trigon-agent", "-n", "trigon-system", "-o", "jsonpath={..image}");
  const shortNames = () =>
    kubectl("get", "crd", "tracingnodes.trigon.dev", "-o", "jsonpath={.spec.names.shortNames}");
  let untouched: string[];

  before(async () => {
    // What the controllers make by themselves is there before the test looks.
    for (const namespace of ["default", "kube-node-lease", "kube-public", "kube-system"])
      for (const object of ["serviceaccount/default", "configmap/kube-root-ca.crt"])
        await eventually(() => kubectl("get", object, "-n", namespace));
    untouched = await listAllObjects(plane);
  });

  test("is installed with one command, and says what to do next", () => {
    const notes = helm("install", "trigon", CHART);
    assert.match(notes, /is installed in the namespace trigon-system/);
    assert.match(notes, /`helm uninstall trigon` removes all of it but the CRDs/);
    assert.equal(image(), "trigon.dev/trigon:dev");
    const labels = kubectl("get", "namespace", "trigon-system", "-o", "jsonpath={.metadata.labels}");
    assert.match(labels, /"pod-security\.kubernetes\.io\/enforce":"privileged"/);
  });

  test("is upgraded to another image with its CRDs, and rolled back", () => {
    const newer = join(directory, "newer");
    cpSync(CHART, newer, { recursive: true });
    const file = join(newer, "definitions/tracingnodes.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace("- tgn\n", "- tgn\n      - newer\n"));
    helm("upgrade", "trigon", newer, "--set", "image.tag=v2");
    assert.deepEqual([image(), shortNames()], ["trigon.dev/trigon:v2", '["tgn","newer"]']);
    helm("rollback", "trigon", "1");
    assert.deepEqual([image(), shortNames()], ["trigon.dev/trigon:dev", '["tgn"]']);
  });

  test("is upgraded with the values of an earlier chart, and names what --reuse-values lacks of a newer one", () => {
    const older = join(directory, "older");
    cpSync(CHART, older, { recursive: true });
    const schema = join(older, "values.schema.json");
    writeFileSync(schema, readFileSync(schema, "utf8").replaceAll('"writerGuard", ', ""));
    for (const guard of ["hook-spec-guard", "tracingnode-guard"])
      rmSync(join(older, `templates/${guard}.yaml`));
    const values = parseDocument(readFileSync(join(older, "values.yaml"), "utf8"));
    values.delete("writerGuard");
    writeFileSync(join(older, "values.yaml"), values.toString());
    helm("upgrade", "trigon", older, "--reset-values", "--set", "image.tag=v3");
    const { status, stderr } = run(helmProgram, ["upgrade", "trigon", CHART, "--reuse-values"]);
    assert.equal(status, 1);
    assert.match(stderr, /missing property 'writerGuard'/);
    helm("upgrade", "trigon", CHART, "--reset-then-reuse-values");
    assert.equal(image(), "trigon.dev/trigon:v3");
    helm("upgrade", "trigon", CHART, "--reuse-values", "--set", "image.tag=dev");
    assert.equal(image(), "trigon.dev/trigon:dev");
  });

  test("leaves the CRDs and the policies behind when it is uninstalled, and nothing else", async () => {
    kubectl("apply", "-f", join(PROJECT, "crds/examples/valid/process-creds-installed.yaml"));
    assert.match(helm("uninstall", "trigon"), /tracingpolicies\.cilium\.io/);
    await eventually(async () => {
      const left = (await listAllObjects(plane)).filter((name) => !untouched.includes(name));
      assert.deepEqual(left, [...CRDS, "tracingpolicy.cilium.io/process-creds-changed"].sort());
    });
  });

  test("takes over the CRDs that were left when it is installed again, in a namespace that exists", async () => {
    kubectl("create", "namespace", "security");
    const notes = helm("install", "trigon", CHART, "--namespace", "security", "--take-ownership");
    assert.match(notes, /kubectl label namespace security pod-security/);
    assert.match(kubectl("get", "tracingpolicies"), /process-creds-changed/);
    helm("uninstall", "trigon", "--namespace", "security");
    kubectl("delete", "namespace", "security");
    kubectl("delete", ...CRDS);
    await eventually(async () => assert.deepEqual(await listAllObjects(plane), untouched));
  });
});

test("an overlay of a user sets the image, and gives agents all pods where the API server is older", async () => {
  const overlay = await writeOverlay({ image: "registry.example.com/trigon:1.2.3", needsAllPods: true });
  const built = kubectl("kustomize", overlay);
  rmSync(overlay, { recursive: true });
  const images = [...built.matchAll(/ image: (.+)/g)].map((match) => match[1]);
  assert.deepEqual(images, Array(2).fill("registry.example.com/trigon:1.2.3"));
  const { "ClusterRoleBinding /trigon-agent-all-pods": binding } = objectsOf(built);
  const [subject] = (binding as unknown as { subjects: object[] }).subjects;
  assert.deepEqual(subject, { kind: "ServiceAccount", name: "trigon-agent", namespace: "trigon-system" });
});

describe("with kustomize's namePrefix and namespace", () => {
  const NODES = ["node-1", "node-2"];
  const account = (name: string) => ["--as", `system:serviceaccount:security:prod-trigon-${name}`];

  before(async () => {
    const overlay = join(directory, "prefixed");
    mkdirSync(overlay);
    const base = relative(overlay, OVERLAY);
    const lines = ["namePrefix: prod-", "namespace: security", `resources: [${base}]`];
    writeFileSync(join(overlay, "kustomization.yaml"), `kind: Kustomization\n${lines.join("\n")}\n`);
    const apply = () => kubectl("apply", "--server-side", "-k", overlay);
    await eventually(apply);
    for (const name of NODES) kubectl("create", "-f", writeObject(nodeObject(name)));
  });

  function writeObject(object: object): string {
    const file = join(directory, "object.json");
    writeFileSync(file, JSON.stringify(object));
    return file;
  }

  const nodeObject = (name: string) => ({ apiVersion: "v1", kind: "Node", metadata: { name } });
  const tracingNode = (name: string) => ({
    apiVersion: "trigon.dev/v1alpha1",
    kind: "TracingNode",
    metadata: { name },
  });

  /** kubectl apply by the agent of a node, with a token as a pod there has it. */
  function applyOn(node: string, object: object): Ended {
    const bound = ["--bound-object-kind=Node", `--bound-object-name=${node}`];
    const token = kubectl("create", "token", "prod-trigon-agent", "-n", "security", ...bound).trim();
    const ca = ["--server", plane.url, "--certificate-authority", plane.caFile, "--kubeconfig", "/dev/null"];
    const args = ["apply", "--server-side", "-f", writeObject(object), "--token", token, ...ca];
    return run(plane.binaries.kubectl, args);
  }

  test("an agent writes its own TracingNode and no other", async () => {
    await eventually(() => {
      const { status, stderr } = applyOn("node-1", tracingNode("node-2"));
      assert.equal(status, 1);
      assert.match(stderr, /only a service account token of a pod on node node-2 may write this TracingNode/);
    });
    for (const name of NODES) {
      const { status, stderr } = applyOn(name, tracingNode(name));
      assert.equal(status, 0, stderr);
    }
  });

  const hookSpec = (labels: Record<string, string>) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "trigon-spec-1", namespace: "security", labels },
    data: { "hook-spec.json": "{}" },
  });
  const LABELS = { "trigon.dev/policy": "x", "app.kubernetes.io/managed-by": "trigon-operator" };

  function writeSpec(labels: Record<string, string>, ...as: string[]): Ended {
    const args = ["apply", "--server-side", "--force-conflicts", "-f", writeObject(hookSpec(labels)), ...as];
    return run(plane.binaries.kubectl, args);
  }

  test("agents run on Linux nodes only, and on no virtual ones", async () => {
    const linux = { "kubernetes.io/os": "linux" };
    const nodes = {
      "linux-1": linux,
      "windows-1": { "kubernetes.io/os": "windows" },
      "virtual-1": { ...linux, type: "virtual-kubelet" },
      "linux-2": { ...linux, type: "large" },
    };
    for (const [name, labels] of Object.entries(nodes))
      kubectl("create", "-f", writeObject({ ...nodeObject(name), metadata: { name, labels } }));
    const targets = () => {
      const pods = ["get", "pods", "-n", "security", "-l", "app.kubernetes.io/component=agent", "-o", "json"];
      const { items } = JSON.parse(kubectl(...pods));
      const found = JSON.stringify(items).matchAll(
        /"key":"metadata\.name","operator":"In","values":\["([^"]+)"\]/g,
      );
      return [...found].map(([, name]) => name).sort();
    };
    await eventually(() => assert.deepEqual(targets(), ["linux-1", "linux-2"]));
  });

  test("API servers trust the operator's webhook under its new names", async () => {
    const deployment = JSON.parse(
      kubectl("get", "deployment", "prod-trigon-operator", "-n", "security", "-o", "json"),
    );
    const { serviceAccountName, containers } = deployment.spec.template.spec;
    const fields = containers[0].env.flatMap(({ name, valueFrom }: PodVariable) =>
      valueFrom ? [[name, valueFrom.fieldRef.fieldPath]] : [],
    );
    assert.ok(fields.some(([, path]: string[]) => path === "spec.serviceAccountName"));
    const pod: Record<string, string> = {
      "metadata.namespace": "security",
      "metadata.name": "prod-trigon-operator-1",
      "spec.serviceAccountName": serviceAccountName,
    };
    const environment = fields.map(([name, path]: string[]) => [name, pod[path ?? ""]]);
    const operator = await startOperator(Object.fromEntries(environment));
    try {
      const configuration = ["validatingwebhookconfiguration", "prod-trigon-policies", "-o", "json"];
      const { caBundle, service } = await eventually(() => {
        const [{ clientConfig }] = JSON.parse(kubectl("get", ...configuration)).webhooks;
        assert.ok(clientConfig.caBundle, operator.log());
        return clientConfig;
      });
      const answer = await askAsApiServer(operator.webhookPort, service, caBundle);
      assert.equal(answer.response.uid, "1");
      assert.match(answer.response.status.message, /spec\.kprobes\[0\]\.args\[0\]\.index/);
    } finally {
      await operator.stop();
    }
  });

  /** The operator with the rights of its account, and the environment that its Deployment gives it. */
  async function startOperator(environment: Record<string, string>) {
    const token = kubectl("create", "token", "prod-trigon-operator", "-n", "security").trim();
    const cluster = { server: plane.url, "certificate-authority": plane.caFile };
    const kubeconfig = writeObject({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "c", cluster }],
      users: [{ name: "u", user: { token } }],
      contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
      "current-context": "x",
    });
    const webhookPort = await freePort();
    const servers = ["--metrics-server", "127.0.0.1:0", "--webhook-server", `127.0.0.1:${webhookPort}`];
    const args = [join(PROJECT, "operator/main.ts"), "--kubeconfig", kubeconfig, ...servers];
    let text = "";
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "ignore", "pipe"],
    });
    child.stderr.on("data", (chunk) => (text += chunk));
    const stop = async () => {
      child.kill("SIGTERM");
      await exitOf(child);
    };
    return { webhookPort, log: () => text, stop };
  }

  /** The API server's question, with the name and the trust that the webhook's configuration gives it. */
  function askAsApiServer(
    port: number,
    { name, namespace, path }: { name: string; namespace: string; path: string },
    caBundle: string,
  ): Promise<{ response: { uid: string; status: { message: string } } }> {
    const spec = { kprobes: [{ call: "sys_setuid", syscall: true, args: [{ index: 9, type: "int" }] }] };
    const object = { apiVersion: "cilium.io/v1alpha1", kind: "TracingPolicy", metadata: { name: "p" }, spec };
    const review = { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview" };
    const body = JSON.stringify({ ...review, request: { uid: "1", operation: "CREATE", object } });
    const ca = Buffer.from(caBundle, "base64");
    const options = { host: "127.0.0.1", port, path, ca, servername: `${name}.${namespace}.svc` };
    return new Promise((resolve, reject) => {
      const sent = request({ ...options, method: "POST" }, async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk as Buffer);
        resolve(JSON.parse(Buffer.concat(chunks).toString("utf8")));
      });
      sent.on("error", reject);
      sent.end(body);
    });
  }

  test("the operator writes hook specs; neither an admin nor an agent does", async () => {
    const refusal = /written by the Trigon operator only; edit the TracingPolicy instead/;
    await eventually(() => assert.match(writeSpec(LABELS).stderr, refusal));
    const { status, stderr } = writeSpec(LABELS, ...account("operator"));
    assert.equal(status, 0, stderr);
    const edits: Record<string, Record<string, string>> = {
      "the label that ends a policy": { ...LABELS, "trigon.dev/retired": "true" },
      "no label any more": { "trigon.dev/policy": "" },
    };
    for (const [what, labels] of Object.entries(edits)) assert.match(writeSpec(labels).stderr, refusal, what);
    const annotate = [
      "annotate",
      "configmap",
      "trigon-spec-1",
      "-n",
      "security",
      "trigon.dev/revision=999999",
    ];
    assert.match(run(plane.binaries.kubectl, annotate).stderr, refusal);
    const unlabel = ["label", "configmap", "trigon-spec-1", "-n", "security", "trigon.dev/policy-"];
    assert.match(run(plane.binaries.kubectl, unlabel).stderr, refusal);
    assert.equal(writeSpec(LABELS, ...account("agent")).status, 1);
    kubectl("delete", "configmap", "trigon-spec-1", "-n", "security");
  });
});

describe("roles for people", () => {
  const can = (role: string, verb: string, resource: string, namespace?: string) => {
    const scope = namespace === undefined ? ["--all-namespaces"] : ["-n", namespace];
    const args = ["auth", "can-i", verb, resource, "--as", `user-${role}`, "-q", ...scope];
    return run(plane.binaries.kubectl, args).status === 0;
  };

  before(() => {
    for (const role of ["view", "edit", "admin"])
      kubectl("create", "rolebinding", role, "-n", "default", `--clusterrole=${role}`, `--user=user-${role}`);
    kubectl(
      "create",
      "clusterrolebinding",
      "policies",
      "--clusterrole=prod-trigon-policy-admin",
      "--user=user-policies",
    );
  });

  const RESOURCE = "tracingpoliciesnamespaced.cilium.io";
  test("view reads policies of its namespace; edit and admin write them", async () => {
    await eventually(() => assert.ok(can("view", "list", RESOURCE, "default")));
    assert.ok(!can("view", "create", RESOURCE, "default"));
    for (const role of ["edit", "admin"]) {
      await eventually(() => assert.ok(can(role, "create", RESOURCE, "default"), role));
      assert.ok(!can(role, "create", RESOURCE, "kube-system"), role);
      assert.ok(!can(role, "create", "tracingpolicies.cilium.io"), role);
    }
  });

  test("trigon-policy-admin writes the policies of the cluster, and no status of nodes", () => {
    assert.ok(can("policies", "create", "tracingpolicies.cilium.io"));
    assert.ok(!can("policies", "patch", "tracingnodes.trigon.dev"));
  });
});
