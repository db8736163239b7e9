/**
 * Writes the layout.gen.ts of agent/records and agent/hooks/config from the BTF of bpf/layouts.bpf.c: part of
 * `npm run generate`. A machine without the tools cannot write them. There the version file, which has digests of
 * sources and results, shows whether they were generated from the present headers and not edited since.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { digest, digestOfSources, layoutOf, renderLayout } from "../bpf/layouts.ts";
import { runProgram } from "./guest/program.ts";
import { programs } from "./runner/capabilities.ts";

const GENERATED_FROM = "// Generated from bpf/layouts.bpf.c by `npm run generate`; do not edit.\n";
const VERSION_FILE = "agent/records/layout-version.gen.ts";
/** Root struct in C to generated file. */
const LAYOUT_FILES = {
  record_layout: "agent/records/layout.gen.ts",
  config_layout: "agent/hooks/config/layout.gen.ts",
};

/** Writes the files below `root`. Where a tool is missing, throws if they are out of date. */
export async function generateLayouts(
  root: string,
  environment: NodeJS.ProcessEnv,
  log: (line: string) => void,
): Promise<void> {
  const missing = programs("make", "clang", "bpftool")(environment);
  if (missing) return checkVersion(root, missing, log);
  for (const [file, source] of Object.entries(await renderLayouts(root))) {
    writeFileSync(join(root, file), source);
  }
  writeFileSync(join(root, VERSION_FILE), renderVersion(root));
}

async function renderLayouts(root: string): Promise<Record<string, string>> {
  await runProgram("make", ["-s", "-C", "bpf", "layouts"], { cwd: root });
  const { types } = JSON.parse(read(root, "build/bpf/layouts.json"));
  const files = Object.entries(LAYOUT_FILES).map(([struct, file]) => [
    file,
    GENERATED_FROM + renderLayout(layoutOf(types, struct)),
  ]);
  return Object.fromEntries(files);
}

function checkVersion(root: string, missing: string, log: (line: string) => void): void {
  if (read(root, VERSION_FILE) !== renderVersion(root)) {
    const layouts = Object.values(LAYOUT_FILES).join(" and ");
    throw new Error(
      `${VERSION_FILE} fits no more: bpf/include or ${layouts} changed. Run \`npm run generate\` on a machine with the tools (here: ${missing})`,
    );
  }
  log(`the layouts are up to date; they cannot be generated here (${missing})`);
}

function renderVersion(root: string): string {
  const layouts = Object.values(LAYOUT_FILES).map((file) => read(root, file));
  return `${GENERATED_FROM}
/** Changes with every struct, enum and limit that the programs share with the agent. */
export const LAYOUT_VERSION = "${digest(layouts.join("\n"))}";

/** Digest of the C sources of the layouts, without comments and white space. */
export const LAYOUT_SOURCES = "${digestOfSources(cSources(join(root, "bpf"), "layouts.bpf.c"))}";
`;
}

/** A file of bpf/ and the headers of bpf/include that it includes, directly or not. The kernel's types are left out. */
function cSources(bpf: string, file: string, seen = new Set<string>()): string[] {
  if (seen.has(file)) return [];
  seen.add(file);
  const source = read(bpf, file);
  const headers = [...source.matchAll(/^#include "(.+)"/gm)].map(([, name]) => name as string);
  const own = headers.filter((name) => name !== "vmlinux.h");
  return [source, ...own.flatMap((name) => cSources(bpf, join("include", name), seen))];
}

function read(directory: string, file: string): string {
  return readFileSync(join(directory, file), "utf8");
}
