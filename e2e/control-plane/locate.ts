/** Where the programs of a table can be: on the machine, in the cache, or in a Debian package. Knows none by name. */
import { createHash } from "node:crypto";
import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { cacheDirectory } from "../cache.mjs";
import { runProgram } from "../guest/program.ts";
import type { WantedPackage } from "./debian.ts";
import { cachePath, type GoModule } from "./go-modules.mjs";

/** How to get a program. */
export interface Program {
  module: GoModule;
  /** The Go package that is built; one that begins with "./" is a program of several parts, of which this is one. */
  package: string;
  /** The Debian package with this program in its usr/bin. */
  debian?: string;
  versionArgs: string[];
  /** Pattern that the output of a program that was not built here must match. */
  fits: RegExp;
}

/** Programs by name. */
export type Programs = Readonly<Record<string, Program>>;

/** Makes packages appear at their roots, as far as they can be had. */
export type Unpack = (wanted: WantedPackage[]) => Promise<void>;

/** Paths of all programs that need no build. Looks on the machine, then in the cache, and unpacks what else is wanted. */
export async function locate(
  programs: Programs,
  names: readonly string[],
  environment: NodeJS.ProcessEnv,
  unpack: Unpack,
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const lookFor = async (missing: readonly string[], look: (name: string) => Promise<string | undefined>) => {
    for (const name of missing) {
      const path = await look(name);
      if (path !== undefined) found.set(name, path);
    }
    return missing.filter((name) => !found.has(name));
  };
  const cached = (name: string) => findCached(programs, name, environment);
  const missing = await lookFor(
    names,
    async (name) => (await findInstalled(programs, name, environment)) ?? cached(name),
  );
  const wanted = wantedPackages(programs, missing, environment);
  if (wanted.length === 0) return found;
  await unpack(wanted);
  await lookFor(missing, cached);
  return found;
}

/** A program in KUBEBUILDER_ASSETS or on PATH whose version fits. */
export async function findInstalled(
  programs: Programs,
  name: string,
  environment: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const assets = environment.KUBEBUILDER_ASSETS;
  const directories = [...(assets ? [assets] : []), ...(environment.PATH ?? "").split(":").filter(Boolean)];
  for (const directory of directories) {
    const path = join(directory, name);
    if ((await isExecutable(path)) && (await versionFits(programs[name] as Program, path))) return path;
  }
  return undefined;
}

/** A program that was built or unpacked before. */
export async function findCached(
  programs: Programs,
  name: string,
  environment: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const program = programs[name] as Program;
  const built = join(cachePath(program.module, environment), name);
  if (await isExecutable(built)) return built;
  if (program.debian === undefined) return undefined;
  const unpacked = join(packageRoot(programs, program.debian, environment), "usr/bin", name);
  return (await isExecutable(unpacked)) ? unpacked : undefined;
}

async function versionFits({ versionArgs, fits }: Program, path: string): Promise<boolean> {
  return runProgram(path, versionArgs).then(
    (text) => fits.test(text),
    () => false,
  );
}

const isExecutable = (path: string) =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

/** The directory of unpacked packages. */
export function packagesDirectory(environment: NodeJS.ProcessEnv): string {
  return join(cacheDirectory(environment), "debian");
}

/** Named by a hash of what must fit, so that a package that fitted other needs is never used. */
function packageRoot(programs: Programs, debian: string, environment: NodeJS.ProcessEnv): string {
  const patterns = programsOf(programs, debian).map((name) => [name, programs[name]?.fits.source]);
  const hash = createHash("sha256").update(JSON.stringify(patterns)).digest("hex").slice(0, 8);
  return join(packagesDirectory(environment), `${debian}.${hash}`);
}

function programsOf(programs: Programs, debian: string): string[] {
  return Object.keys(programs).filter((name) => programs[name]?.debian === debian);
}

function wantedPackages(
  programs: Programs,
  names: readonly string[],
  environment: NodeJS.ProcessEnv,
): WantedPackage[] {
  const packages = new Set(names.flatMap((name) => programs[name]?.debian ?? []));
  return [...packages].map((debian) => ({
    name: debian,
    root: packageRoot(programs, debian, environment),
    fits: async (root) => {
      const checks = programsOf(programs, debian).map((name) =>
        versionFits(programs[name] as Program, join(root, "usr/bin", name)),
      );
      return (await Promise.all(checks)).every(Boolean);
    },
  }));
}
