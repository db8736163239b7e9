/** Paths as policies write them, beside the paths that the kernel has for the same files. */
import { posix } from "node:path";
import type { TextComparison } from "../../crds/hook-spec.ts";
import type { Problems } from "../problems.ts";
import { quote } from "../suggest.ts";

/** Directories that are links to others on most images. */
const DIRECTORIES: readonly [link: string, target: string][] = [
  ["/bin", "/usr/bin"],
  ["/sbin", "/usr/sbin"],
  ["/lib", "/usr/lib"],
  ["/lib64", "/usr/lib64"],
  ["/var/run", "/run"],
  ["/var/lock", "/run/lock"],
];

/** Files that are links to others on most images: names in the same directory, or full paths. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  "/usr/bin/sh": ["dash", "bash", "busybox"],
  "/usr/bin/python": ["python2", "python3"],
  "/usr/sbin/init": ["/usr/lib/systemd/systemd"],
};

/** A path that leads through a link. */
export interface Linked {
  /** What is a link, and to what: "/bin is a link to /usr/bin". */
  fact: string;
  /** The paths that the kernel may have for the file. */
  files: string[];
}

/** The link on the way of a path; undefined where none is known. */
export function linkOf(path: string): Linked | undefined {
  const [link, target] = DIRECTORIES.find(([from]) => path === from || path.startsWith(`${from}/`)) ?? [];
  const inTarget = link === undefined ? path : `${target}${path.slice(link.length)}`;
  const others = Object.hasOwn(FILES, inTarget) ? FILES[inTarget] : undefined;
  if (link === undefined && others === undefined) return undefined;
  return {
    fact: link === undefined ? `${path} is a link` : `${link} is a link to ${target}`,
    files: others?.map((file) => posix.resolve(posix.dirname(inTarget), file)) ?? [inTarget],
  };
}

/** Warns of what is in no path of the kernel's: patterns, blanks around it, and steps that lead nowhere. */
export function warnOfSpelling(value: string, how: TextComparison, at: string, problems: Problems): void {
  const right = how.startsWith("substring") ? value : spelled(value, how);
  if (value.includes("*")) {
    problems.warn(at, `${quote(value)} is no pattern, "*" stands for itself: use Prefix or Postfix`);
  } else if (right !== value) {
    problems.warn(at, `${quote(value)} is not how the kernel writes a path: write ${quote(right)}`);
  }
}

function spelled(value: string, how: TextComparison): string {
  const path = value.trim();
  if (path === "" || path.startsWith(".")) return path; // an ending such as .so, or relative: reported as such
  const normal = posix.normalize(path);
  return how !== "prefix" && normal.length > 1 ? normal.replace(/\/$/, "") : normal;
}
