/** Decides which files belong into the image. Pure. */

/** The parts of package-lock.json that matter here. */
export interface Lockfile {
  packages: Record<string, { dependencies?: Record<string, string> }>;
}

/** Paths of these packages and of everything that they depend on. */
export function packagesOf(lock: Lockfile, names: readonly string[]): string[] {
  const found = new Set<string>();
  const add = (name: string, from: string) => {
    const path = installedPath(lock, name, from);
    if (found.has(path)) return;
    found.add(path);
    for (const needed of Object.keys(lock.packages[path]?.dependencies ?? {})) add(needed, path);
  };
  for (const name of names) add(name, "");
  return [...found].sort();
}

/** Looks in the package's own node_modules first, then in those around it, as Node does. */
function installedPath(lock: Lockfile, name: string, from: string): string {
  const path = from === "" ? `node_modules/${name}` : `${from}/node_modules/${name}`;
  if (path in lock.packages) return path;
  if (from === "") throw new Error(`package-lock.json has no package ${name}`);
  return installedPath(lock, name, from.slice(0, Math.max(0, from.lastIndexOf("/node_modules/"))));
}

const DEVELOPMENT_FILES = /\.(d\.[cm]?ts|map|md|markdown|test\.ts|flow|tsbuildinfo)$/i;
const DEVELOPMENT_DIRECTORIES = new Set(["test", "tests", "__tests__", "docs", "doc", "example", "examples"]);

/** Whether a file or directory of a package, or of `proto`, is needed at run time, by its path below `root`. */
export function keepInImage(path: string, root: string): boolean {
  const parts = path.split("/");
  if (DEVELOPMENT_FILES.test(path)) return false;
  // The bundles have its code.
  if (root === "proto") return !path.endsWith(".ts");
  // Nested packages have their own entry in the lock file.
  if (parts.includes("node_modules")) return false;
  return !(parts.length === 1 && DEVELOPMENT_DIRECTORIES.has(path));
}

/** Paths in the output of `ldd`: the libraries and the loader, without the kernel's vdso. */
export function sharedLibraries(lddOutput: string): string[] {
  return [...lddOutput.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1] as string);
}
