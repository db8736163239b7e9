/** Writes manifests/base from the chart, which is the one source of the objects that both install. */
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findBinaries } from "./control-plane/binaries.ts";
import { runProgram } from "./guest/program.ts";
import type { Progress } from "./progress.ts";

const CHART = "manifests/chart";
const BASE = "manifests/base";
/** What manifests/base is for; older versions need a component. */
const KUBERNETES = "1.36";
const HEADER = "# Generated from manifests/chart by `npm run generate`; do not edit.\n";

/** Renders the chart with its default values into manifests/base. Files that it does not render any more go. */
export async function generateManifests(
  project: string,
  environment: NodeJS.ProcessEnv,
  progress: Progress,
): Promise<void> {
  const { helm } = await findBinaries(["helm"], environment, progress);
  const chart = ["template", "trigon", join(project, CHART)];
  const options = ["--set", "crds.install=false", "--kube-version", KUBERNETES];
  const files = splitByTemplate(await runProgram(helm, [...chart, ...options]));
  const kustomized = kustomization([...files.keys()].sort());
  files.set("kustomization.yaml", kustomized);
  files.set("name-references.yaml", NAME_REFERENCES);
  const base = join(project, BASE);
  for (const name of await readdir(base)) if (!files.has(name)) await rm(join(base, name));
  for (const [name, text] of files) await writeFile(join(base, name), HEADER + text);
}

/** Objects by the template that they come from, in Helm's order. */
export function splitByTemplate(rendered: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const document of rendered.split(/^---\n/m).filter((text) => text.trim() !== "")) {
    const [source, name] = /^# Source: trigon\/templates\/(.+)\n/.exec(document) ?? [];
    if (source === undefined || name === undefined) throw new Error(`no template is named by: ${document}`);
    const before = files.get(name);
    const text = `${document.slice(source.length).trim()}\n`;
    files.set(name, before === undefined ? text : `${before}---\n${text}`);
  }
  return files;
}

function kustomization(files: string[]): string {
  const resources = files.map((name) => `  - ${name}\n`).join("");
  const head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";
  return `${head}resources:\n${resources}configurations:\n  - name-references.yaml\n`;
}

/** Kustomize does not know that a role can name a webhook: without this, a namePrefix takes the operator's right away. */
const NAME_REFERENCES = `nameReference:
  - group: admissionregistration.k8s.io
    kind: ValidatingWebhookConfiguration
    fieldSpecs:
      - group: rbac.authorization.k8s.io
        kind: ClusterRole
        path: rules/resourceNames
`;
