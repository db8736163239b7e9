/** Kernel modules of ours for a guest's kernel, built with Debian's headers of that kernel. */
import { globSync } from "node:fs";
import { access, chmod, cp, mkdir, mkdtemp, open, readdir, rename, rm, writeFile } from "node:fs/promises";
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
 * is unknown before gcc 14. BTF would need pahole, and nothing reads the module's.
 */
function compiler(directory: string): string[] {
  const without = ["CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=", "CONFIG_DEBUG_INFO_BTF_MODULES="];
  return ["CC=gcc", "HOSTCC=gcc", `KBUILD_OUTPUT=${directory}`, ...without];
}

async function prepareHeaders(kernel: Kernel, cacheDir: string, progress: Progress): Promise<string> {
  const directory = join(cacheDir, "kernel-headers", kernel.release);
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
    await relocate(root, directory, kernel.release);
    await useOwnLibraries(root, directory);
    await rename(root, directory);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The headers, the programs that build modules with them, and the libraries of these. */
const NEEDED = /^(linux-(headers|kbuild)-\d.*|libc6|libelf1(t64)?|zlib1g|libzstd1)$/;

async function headerPackages(suite: AptSuite, release: string): Promise<Package[]> {
  const found: Package[] = [];
  const queue = [`linux-headers-${release}`];
  for (const name of queue) {
    const entry = await suite.show(name);
    found.push(entry);
    const more = entry.depends.filter((other) => NEEDED.test(other));
    queue.push(...more.filter((other) => !queue.includes(other)));
  }
  return found;
}

/** The only absolute path in them is that of the common Makefile. `root` will be `directory`. */
async function relocate(root: string, directory: string, release: string): Promise<void> {
  const common = (await readdir(join(root, "usr/src"))).find((name) => name.endsWith("-common"));
  if (common === undefined) throw new Error(`the headers of ${release} have no common part`);
  const makefile = join(root, "usr/src", `linux-headers-${release}`, "Makefile");
  await writeFile(makefile, `include ${join(directory, "usr/src", common, "Makefile")}\n`);
}

/** Debian's programs look for one of several of their name, by the kernel's configuration: these are of x86-64. */
const VARIANTS = [".real-x86", ".real-lsb-64"];

/**
 * The programs of a newer Debian need its libraries, also where the machine's own are older: each is replaced by a script
 * that runs it with them. `root` will be `directory`.
 */
async function useOwnLibraries(root: string, directory: string): Promise<void> {
  const [loader] = globSync("{lib64,usr/lib64,lib/*,usr/lib/*}/ld-linux-x86-64.so.2", { cwd: root });
  if (loader === undefined) throw new Error("libc6 has no loader");
  const libraries = ["lib", "usr/lib"].map((lib) => join(directory, lib, "x86_64-linux-gnu")).join(":");
  const programs: string[] = [];
  for (const file of globSync("usr/lib/linux-kbuild-*/**/*", { cwd: root }))
    if (await isProgram(join(root, file))) programs.push(file);
  for (const file of programs.filter((name) => !name.includes(".real-"))) {
    const variant = VARIANTS.map((suffix) => file + suffix).find((name) => programs.includes(name));
    if (variant === undefined) await rename(join(root, file), join(root, `${file}.own`));
    const run = [
      join(directory, loader),
      "--library-path",
      libraries,
      join(directory, variant ?? `${file}.own`),
    ];
    await writeFile(join(root, file), `#!/bin/sh\nexec ${run.join(" ")} "$@"\n`);
    await chmod(join(root, file), 0o755);
  }
}

/** Whether a file is an executable in ELF. */
async function isProgram(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const stat = await file.stat();
    if (!stat.isFile() || (stat.mode & 0o111) === 0) return false;
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.toString("latin1") === "\x7fELF";
  } finally {
    await file.close();
  }
}
