/**
 * A cluster that has Tetragon's definitions: Trigon's replace them, and no policy is lost.
 *
 *   node --test e2e/api-server/beside-tetragon.api-test.ts
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { KubeConfig } from "@kubernetes/client-node";
import { parse } from "yaml";
import { makeApis } from "../../operator/cluster/api.ts";
import { OperatorClient } from "../../operator/cluster/client.ts";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { eventually, kubectl } from "./api-clients.ts";

const CRDS = join(import.meta.dirname, "../../crds");
const POLICIES = join(CRDS, "examples/valid/process-creds-installed.yaml");
const TETRAGON_VERSION = "1.8.13";
const VERSION_LABEL = "cilium.io.k8s.crd.schema.version";

interface Definition {
  metadata: { name: string; labels?: Record<string, string>; annotations?: object };
  spec: { versions: { subresources?: object; additionalPrinterColumns?: object }[] };
}

let plane: ControlPlane;
let directory: string;
const run = (...args: string[]) => kubectl(plane, ...args);

before(async () => {
  plane = await startControlPlane();
  directory = await mkdtemp(join(tmpdir(), "trigon-beside-"));
  for (const plural of ["tracingpolicies", "tracingpoliciesnamespaced"]) await createTetragons(plural);
  await eventually(() => run("create", "-f", POLICIES));
});
after(async () => {
  await plane.stop();
  await rm(directory, { recursive: true });
});

/** As Tetragon's operator makes them: the same schema, a version label, and neither status nor columns. */
async function createTetragons(plural: string): Promise<void> {
  const definition = parse(await readFile(join(CRDS, `${plural}.yaml`), "utf8")) as Definition;
  definition.metadata = { name: definition.metadata.name, labels: { [VERSION_LABEL]: TETRAGON_VERSION } };
  for (const version of definition.spec.versions) {
    delete version.subresources;
    delete version.additionalPrinterColumns;
  }
  const file = join(directory, `${plural}.json`);
  await writeFile(file, JSON.stringify(definition));
  await run("create", "--field-manager", "tetragon-operator", "-f", file);
}

test("with Tetragon's definitions the operator says why it cannot write a status", async () => {
  const config = new KubeConfig();
  config.loadFromFile(plane.kubeconfigPath);
  const client = new OperatorClient(makeApis({ config, userAgent: "beside-tetragon-test" }));
  const metadata = JSON.parse(
    await run("get", "tracingpolicy", "process-creds-changed", "-o", "json"),
  ).metadata;
  await assert.rejects(
    client.replaceStatus("TracingPolicy", metadata, { observedGeneration: 1 }),
    /^Error: the definition tracingpolicies\.cilium\.io has no status: another project's/,
  );
});

test("Trigon's definitions replace Tetragon's, the policies stay, and now they have a status", async () => {
  const before = await run(
    "get",
    "tracingpolicies",
    "-o",
    "jsonpath={.items[*].metadata.uid} {.items[*].spec}",
  );
  await run("apply", "--server-side", "--force-conflicts", "-k", CRDS);
  const stored = await run(
    "get",
    "tracingpolicies",
    "-o",
    "jsonpath={.items[*].metadata.uid} {.items[*].spec}",
  );
  assert.equal(stored, before);
  const status = JSON.stringify({ status: { observedGeneration: 1, nodesSummary: "1/1" } });
  const patch = ["--subresource=status", "--type=merge", "--patch", status];
  await eventually(() => run("patch", "tracingpolicy", "process-creds-changed", ...patch));
  await eventually(async () =>
    assert.match(await run("get", "tracingpolicies"), /^NAME +READY +NODES[^\n]*\n\S+ +1\/1 /),
  );
});

test("Tetragon's operator finds them newer than its own, and keeps them", async () => {
  const path = `{.items[*].metadata.labels.${VERSION_LABEL.replaceAll(".", "\\.")}}`;
  const versions = (await run("get", "crds", "-o", `jsonpath=${path}`)).split(" ");
  assert.equal(versions.length, 2);
  for (const version of versions) assert.ok(isNewer(version, TETRAGON_VERSION), version);
});

/** Compares versions of three numbers. */
function isNewer(version: string, than: string): boolean {
  const [a = [], b = []] = [version, than].map((text) => text.split(".").map(Number));
  const at = a.findIndex((number, index) => number !== b[index]);
  return at !== -1 && (a[at] ?? 0) > (b[at] ?? 0);
}
