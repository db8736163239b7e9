/** Decides which files belong into the image. Pure. */

/** The parts of package-lock.json that matter here. */
export interface Lockfile {
  packages: Record<string, { dev?: boolean; devOptional?: boolean; optional?: boolean }>;
}

/** Paths of the packages that production code may load; optional ones that nothing needs stay out. */
export function productionPackages({ packages }: Lockfile): string[] {
  return Object.entries(packages)
    .filter(([path, entry]) => path !== "" && !entry.dev && !entry.devOptional && !entry.optional)
    .map(([path]) => path);
}

const DEVELOPMENT_FILES = /\.(d\.[cm]?ts|map|md|markdown|test\.ts|flow|tsbuildinfo)$/i;
const DEVELOPMENT_DIRECTORIES = new Set(["test", "tests", "__tests__", "docs", "doc", "example", "examples"]);

/** Whether a file or directory of a room or package, by its path below `root`, is needed at run time. */
export function keepInImage(path: string, root: string): boolean {
  const parts = path.split("/");
  if (DEVELOPMENT_FILES.test(path)) return false;
  if (!root.startsWith("node_modules/") && parts.includes("testing")) return false;
  if (root === "agent") return parts[0] !== "native";
  if (root === "proto") return path !== "generate.ts";
  // Starts the command from a checkout, as TypeScript.
  if (root === "cli") return path !== "trigon.mjs";
  if (!root.startsWith("node_modules/")) return true;
  // Nested packages have their own entry in the lock file.
  if (parts.includes("node_modules")) return false;
  return !(parts.length === 1 && DEVELOPMENT_DIRECTORIES.has(path));
}

/** Paths in the output of `ldd`: the libraries and the loader, without the kernel's vdso. */
export function sharedLibraries(lddOutput: string): string[] {
  return [...lddOutput.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1] as string);
}
