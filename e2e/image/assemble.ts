/** Makes the image's root directory from a built checkout: `node assemble.ts CHECKOUT TARGET`, in the Dockerfile. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { bundlePrograms, UNBUNDLED } from "./bundle.ts";
import { writeCodeCache } from "./code-cache.ts";
import { keepInImage, packagesOf, sharedLibraries } from "./contents.ts";
import { type Component, debianComponents, npmComponents, SBOM_PATH, spdxDocument } from "./sbom.ts";

const [checkout, target] = process.argv.slice(2);
if (!checkout || !target) throw new Error("usage: node assemble.ts CHECKOUT TARGET");
const app = join(target, "app");

copy("package.json", "build/bpf/trigon.bpf.o", "build/bpf.node");
copyTree("proto");
await bundlePrograms(checkout, app);
const lock = JSON.parse(readFileSync(join(checkout, "package-lock.json"), "utf8"));
for (const path of packagesOf(lock, UNBUNDLED)) copyTree(path);
installNode();
installCommand();
const libraries = copyLibraries(join(target, "usr/local/bin/node"), join(app, "build/bpf.node"));
writeBillOfMaterials(libraries);
writeAccounts();
writeCodeCache(target);

function copy(...files: string[]): void {
  for (const file of files) {
    mkdirSync(dirname(join(app, file)), { recursive: true });
    copyFileSync(join(checkout as string, file), join(app, file));
  }
}

function copyTree(path: string): void {
  const from = join(checkout as string, path);
  const filter = (source: string) => source === from || keepInImage(source.slice(from.length + 1), path);
  cpSync(from, join(app, path), { recursive: true, filter });
}

/** Symbol tables are a fifth of Node's binary; the dynamic symbols that addons link to stay. */
function installNode(): void {
  const binary = join(target as string, "usr/local/bin/node");
  mkdirSync(dirname(binary), { recursive: true });
  copyFileSync(join(checkout as string, "node_modules/node/bin/node"), binary);
  execFileSync("strip", ["--strip-all", binary]);
  chmodSync(binary, 0o755);
}

/** `trigon` for `kubectl exec`; there is no shell and no /usr/bin/env to start it with. */
function installCommand(): void {
  const command = join(target as string, "usr/local/bin/trigon");
  writeFileSync(command, '#!/usr/local/bin/node\nimport("/app/cli/main.js");\n');
  chmodSync(command, 0o755);
}

function copyLibraries(...binaries: string[]): string[] {
  const libraries = new Set(binaries.flatMap((path) => sharedLibraries(ldd(path))));
  for (const library of libraries) {
    const copyTo = join(target as string, library);
    mkdirSync(dirname(copyTo), { recursive: true });
    copyFileSync(realpathSync(library), copyTo);
    chmodSync(copyTo, 0o755);
  }
  return [...libraries];
}

/** Bundles have parts of every production package. */
function writeBillOfMaterials(libraries: string[]): void {
  const { name, version, license, dependencies } = JSON.parse(
    readFileSync(join(checkout as string, "package.json"), "utf8"),
  ) as { name: string; version: string; license: string; dependencies: Record<string, string> };
  const packages = npmComponents(lock, packagesOf(lock, Object.keys(dependencies)));
  const created = new Date(Number(process.env.SOURCE_DATE_EPOCH ?? 0) * 1000)
    .toISOString()
    .replace(".000", "");
  const text = spdxDocument({ name, version, license, created }, [...packages, ...debianPackages(libraries)]);
  const file = join(target as string, SBOM_PATH);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** The packages that libraries come from. Debian knows some of them by their path below /usr only. */
function debianPackages(libraries: string[]): Component[] {
  const owners = libraries.map((library) => {
    const paths = [library, realpathSync(library), `/usr${library}`];
    const patterns = paths.flatMap((path) => [path, path.replace(/^\/usr\//, "/")]);
    const { stdout } = spawnSync("dpkg-query", ["--search", ...patterns], { encoding: "utf8" });
    const owner = /^([^,\s]+): /m.exec(stdout)?.[1];
    if (owner === undefined) throw new Error(`no package owns ${library}`);
    return owner;
  });
  const fields = ["Package", "Version", "Architecture"].map((field) => `\${${field}}`);
  const names = [...new Set(owners)];
  const args = ["--show", `--showformat=${fields.join("\\t")}\\n`, ...names];
  return debianComponents(execFileSync("dpkg-query", args, { encoding: "utf8" }));
}

function ldd(path: string): string {
  return execFileSync("ldd", [path], { encoding: "utf8" });
}

function writeAccounts(): void {
  mkdirSync(join(target as string, "etc"), { recursive: true });
  mkdirSync(join(target as string, "tmp"));
  chmodSync(join(target as string, "tmp"), 0o1777);
  writeFileSync(
    join(target as string, "etc/passwd"),
    "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n",
  );
  writeFileSync(join(target as string, "etc/group"), "root:x:0:\nnonroot:x:65532:\n");
}
