/**
 * Joins each script of a guest with all that it imports, and the programs of the image likewise. An emulated processor
 * takes six seconds to load the two hundred files of a test, and one to load it joined.
 */
import { rm } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { bundleFiles, bundlePrograms, UNBUNDLED } from "../image/bundle.ts";
import { findTests, PROJECT } from "./run-tests.ts";

/** The joined files of what runs in a guest. */
export interface GuestBundle {
  /** The directory with the programs of the image: `agent/main.js` and others. */
  programs: string;
  /** The joined file of a script, by its source; both from the project's directory. */
  pathOf(source: string): string;
  /** The source of a joined file. */
  sourceOf(path: string): string;
}

/** Reads files beside its own code. */
const EXTERNAL = [...UNBUNDLED, "@grpc/proto-loader"];

let bundle: Promise<GuestBundle> | undefined;

/** Writes all tests that run in a guest anew, once per process. */
export function bundleTests(): Promise<GuestBundle> {
  const tests = [...findTests("e2e/guest/*.guest-test.ts"), ...findTests("e2e/guest/*.one-guest-test.ts")];
  bundle ??= bundleScripts(tests, "build/guest-bundle");
  return bundle;
}

/** Writes scripts and the programs below a directory, which is empty before; all paths from the project's directory. */
export async function bundleScripts(scripts: readonly string[], directory: string): Promise<GuestBundle> {
  const target = join(PROJECT, directory);
  const programs = join(target, "programs");
  await rm(target, { recursive: true, force: true });
  await Promise.all([bundlePrograms(PROJECT, programs), writeScripts(scripts, target)]);
  return {
    programs,
    pathOf: (source) => join(directory, source.replace(/\.ts$/, ".js")),
    sourceOf: (path) => relative(directory, path).replace(/\.js$/, ".ts"),
  };
}

async function writeScripts(files: readonly string[], directory: string): Promise<void> {
  const input = Object.fromEntries(files.map((file) => [file.replace(/\.ts$/, ""), file]));
  const plugins = [{ name: "places", transform: keepPlaces }];
  await bundleFiles({ cwd: PROJECT, input, plugins }, { dir: directory }, EXTERNAL);
}

/** A file that finds others from its own place still does so after it was joined. */
export function keepPlaces(code: string, id: string): string {
  const url = pathToFileURL(id).href;
  return code
    .replace(/\bimport\.meta\.resolve\("(\.[^"]*)"\)/g, (_, path: string) =>
      JSON.stringify(pathToFileURL(resolve(dirname(id), path)).href),
    )
    .replace(/\bimport\.meta\.dirname\b/g, JSON.stringify(dirname(id)))
    .replace(/\bimport\.meta\.url\b/g, JSON.stringify(url));
}
