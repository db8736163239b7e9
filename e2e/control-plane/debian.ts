/** Packages of Debian's newest release for any machine that uses Debian's archive: unpacked, but not installed. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { AptSuite, findMirrors } from "../guest/apt.ts";
import { runProgram } from "../guest/program.ts";
import { withLock } from "../lock.ts";

const SUITE = "sid";

/** A package, and the directory that it is to be unpacked into. */
export interface WantedPackage {
  name: string;
  /** Exists only once a package that fits is in it. */
  root: string;
  /** Whether the package that was unpacked into `root` has what is wanted. */
  fits(root: string): Promise<boolean>;
}

/** Unpacks packages into a working directory. Returns their roots by name, without packages that do not exist. */
export type FetchPackages = (names: string[], work: string) => Promise<Map<string, string>>;

/** Downloads, verifies and unpacks packages. Returns the names of those that Debian does not have or that do not fit. */
export async function unpackPackages(
  wanted: WantedPackage[],
  directory: string,
  fetch: FetchPackages = fetchFromDebian,
): Promise<string[]> {
  return withLock(join(directory, "lock"), async () => {
    // Another process may have unpacked some meanwhile.
    const missing = wanted.filter(({ root }) => !existsSync(root));
    if (missing.length === 0) return [];
    const work = await mkdtemp(join(directory, ".fetch-"));
    try {
      const unpacked = await fetch(
        missing.map(({ name }) => name),
        work,
      );
      const left: string[] = [];
      for (const { name, root, fits } of missing) {
        const from = unpacked.get(name);
        if (from !== undefined && (await fits(from))) await rename(from, root);
        else left.push(name);
      }
      return left;
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
}

async function fetchFromDebian(names: string[], work: string): Promise<Map<string, string>> {
  const suite = new AptSuite(join(work, "apt"), SUITE);
  await suite.update(await findMirrors());
  const files = await suite.download(await suite.showAll(names), join(work, "deb"));
  const roots = new Map<string, string>();
  for (const file of files) {
    const name = basename(file).split("_")[0] as string;
    const root = join(work, name);
    await mkdir(root);
    await runProgram("dpkg-deb", ["-x", file, root]);
    roots.set(name, root);
  }
  return roots;
}
