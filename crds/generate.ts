/**
 * Writes crds/*.yaml and their copies in the chart from crds/schema, and crds/*.gen.ts from the YAML: `npm run generate`.
 * What it writes is committed; a second run changes nothing.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { stringify } from "yaml";
import { derivedTypes, wireTypes } from "./generated-types.ts";
import {
  compiledDefinition,
  type Definition,
  type DefinitionName,
  installedDefinition,
} from "./schema/definitions.ts";

const HERE = import.meta.dirname;
const ROOT = join(HERE, "..");
/** Helm reads no file outside of the chart, and reports every symbolic link in it. */
const CHART_COPIES = join(ROOT, "manifests/chart/definitions");
const KFC = join(ROOT, "node_modules/kubernetes-fluent-client/dist/cli.js");

/** The YAML text of a definition; a sub-schema that is used in several places is written out in each. */
function renderYaml(definition: Definition): string {
  const header = "# Generated from crds/schema by `npm run generate`; do not edit.\n";
  return header + stringify(definition, { aliasDuplicateObjects: false, lineWidth: 0 });
}

/** What `kfc crd` makes of a definition with one version. */
function renderTypes(definition: Definition): { name: string; source: string } {
  const work = mkdtempSync(join(tmpdir(), "trigon-types-"));
  const yamlFile = join(work, "definition.yaml");
  const directory = join(work, "types");
  try {
    writeFileSync(yamlFile, renderYaml(definition));
    execFileSync(process.execPath, [KFC, "crd", relative(ROOT, yamlFile), directory, "--plain"], {
      cwd: ROOT,
      stdio: ["ignore", "ignore", "inherit"],
    });
    const [name, ...others] = readdirSync(directory);
    if (name === undefined || others.length > 0) throw new Error(`kfc made not one file of ${yamlFile}`);
    return { name: name.replace(/\.ts$/, ".gen.ts"), source: readFileSync(join(directory, name), "utf8") };
  } finally {
    rmSync(work, { recursive: true });
  }
}

function generate(name: DefinitionName): { name: string; source: string } {
  const yaml = renderYaml(installedDefinition(name));
  for (const directory of [HERE, CHART_COPIES]) writeFileSync(join(directory, `${name}.yaml`), yaml);
  return renderTypes(compiledDefinition(name));
}

const policy = generate("tracingpolicies");
const namespaced = generate("tracingpoliciesnamespaced");
const node = generate("tracingnodes");
writeFileSync(join(HERE, policy.name), wireTypes(policy.source));
writeFileSync(join(HERE, namespaced.name), derivedTypes(namespaced.source, policy.source, policy.name));
writeFileSync(join(HERE, node.name), wireTypes(node.source));
