/** Kernel modules of ours for a guest's kernel, built with Debian's headers of that kernel. */
import { access, cp, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Progress, step } from "../progress.ts";
import { AptSuite, findMirrors, type Package } from "./apt.ts";
import { type Kernel, suiteOf } from "./kernels.ts";
import { runProgram } from "./program.ts";

const SOURCES = join(import.meta.dirname, "modules");

/** Where the modules for a kernel release are, inside a guest as outside. */
export function modulesDirectory(release: string): string {
  return join(import.meta.dirname, "../../build/guest/modules", release);
}

/** Builds all modules for the kernel; its headers are fetched once and stay in the cache. */
export async function buildModules(kernel: Kernel, cacheDir: string, progress: Progress): Promise<void> {
  const headers = await prepareHeaders(kernel, cacheDir, progress);
  const target = modulesDirectory(kernel.release);
  await rm(target, { recursive: true, force: true });
  await mkdir(dirname(target), { recursive: true });
  await cp(SOURCES, target, { recursive: true });
  const directory = join(headers, "usr/src", `linux-headers-${kernel.release}`);
  await step(progress, `kernel ${kernel.name}: modules of the tests`, () =>
    runProgram("make", ["-s", "-C", directory, `M=${target}`, ...compiler(directory), "modules"]),
  );
}

/**
 * Debian builds each release with its own compiler; for a module of one file the machine's is as good. One of its options
 * is unknown before gcc 14.
 */
function compiler(directory: string): string[] {
  return ["CC=gcc", "HOSTCC=gcc", `KBUILD_OUTPUT=${directory}`, "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT="];
}

async function prepareHeaders(kernel: Kernel, cacheDir: string, progress: Progress): Promise<string> {
  const directory = join(cacheDir, "headers", kernel.release);
  const isThere = await access(directory).then(
    () => true,
    () => false,
  );
  if (!isThere) await fetchHeaders(kernel, directory, progress);
  return directory;
}

async function fetchHeaders(kernel: Kernel, directory: string, progress: Progress): Promise<void> {
  await mkdir(dirname(directory), { recursive: true });
  const work = await mkdtemp(`${directory}.fetch-`);
  try {
    const suite = new AptSuite(join(work, "apt"), suiteOf(kernel.name));
    const what = `kernel ${kernel.name}: headers of ${kernel.release}`;
    const files = await step(progress, what, async () => {
      await suite.update(await findMirrors());
      return suite.download(await headerPackages(suite, kernel.release), join(work, "deb"));
    });
    const root = join(work, "root");
    await mkdir(root);
    for (const file of files) await runProgram("dpkg-deb", ["-x", file, root]);
    await rename(root, directory);
    await relocate(directory, kernel.release);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function headerPackages(suite: AptSuite, release: string): Promise<Package[]> {
  const found: Package[] = [];
  const queue = [`linux-headers-${release}`];
  for (const name of queue) {
    const entry = await suite.show(name);
    found.push(entry);
    const more = entry.depends.filter((other) => /^linux-(headers|kbuild)-\d/.test(other));
    queue.push(...more.filter((other) => !queue.includes(other)));
  }
  return found;
}

/** The only absolute path in them is that of the common Makefile. */
async function relocate(directory: string, release: string): Promise<void> {
  const sources = join(directory, "usr/src");
  const common = (await readdir(sources)).find((name) => name.endsWith("-common"));
  if (common === undefined) throw new Error(`the headers of ${release} have no common part`);
  const makefile = join(sources, `linux-headers-${release}`, "Makefile");
  await writeFile(makefile, `include ${join(sources, common, "Makefile")}\n`);
}
