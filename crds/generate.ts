/**
 * Writes crds/*.yaml from crds/schema and crds/*.gen.ts from the YAML: `npm run generate`. What it writes is
 * committed; a second run changes nothing.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { stringify } from "yaml";
import { unionsForEnums } from "./generated-types.ts";
import { DEFINITIONS, type Definition } from "./schema/definitions.ts";

const HERE = import.meta.dirname;
const ROOT = join(HERE, "..");
const KFC = join(ROOT, "node_modules/kubernetes-fluent-client/dist/cli.js");

/** The YAML text of a definition; a sub-schema that stands in several places is written out in each. */
function renderYaml(definition: Definition): string {
  const header = "# Generated from crds/schema by `npm run generate`; do not edit.\n";
  return header + stringify(definition, { aliasDuplicateObjects: false, lineWidth: 0 });
}

/** The wire types that `kfc crd` makes of a YAML file: file name to text. */
function renderTypes(yamlFile: string): Record<string, string> {
  const directory = mkdtempSync(join(tmpdir(), "trigon-types-"));
  try {
    execFileSync(process.execPath, [KFC, "crd", relative(ROOT, yamlFile), directory, "--plain"], {
      cwd: ROOT,
      stdio: ["ignore", "ignore", "inherit"],
    });
    const names = readdirSync(directory).sort();
    if (names.length === 0) throw new Error(`kfc made no types of ${yamlFile}`);
    return Object.fromEntries(
      names.map((name) => [
        name.replace(/\.ts$/, ".gen.ts"),
        unionsForEnums(readFileSync(join(directory, name), "utf8")),
      ]),
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
}

for (const [name, definition] of Object.entries(DEFINITIONS)) {
  const yamlFile = join(HERE, `${name}.yaml`);
  writeFileSync(yamlFile, renderYaml(definition));
  for (const [file, text] of Object.entries(renderTypes(yamlFile))) writeFileSync(join(HERE, file), text);
}
