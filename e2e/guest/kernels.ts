/** Debian's kernels, fetched once and kept in the cache: what each guest boots. */
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AptSuite, findMirrors, type Package } from "./apt.ts";
import { runProgram } from "./program.ts";

const SUITES = { "5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie", latest: "sid" } as const;

/** Names that `--kernel` takes; each is the newest kernel of one Debian release. */
export type KernelName = keyof typeof SUITES;

/** All kernels, oldest first. */
export const KERNEL_NAMES = Object.keys(SUITES) as KernelName[];

/** A kernel on this machine's disk. */
export interface Kernel {
  name: KernelName;
  /** What `uname -r` prints in the guest. */
  release: string;
  /** Debian's version of the package, e.g. "6.1.192-2". */
  version: string;
  /** The extracted package: boot/vmlinuz-RELEASE, boot/config-RELEASE, lib/modules/RELEASE. */
  root: string;
}

/** Where progress of long steps is told, one line each. */
export type Progress = (line: string) => void;

/** True for the names that `--kernel` takes. */
export function isKernelName(name: string): name is KernelName {
  return name in SUITES;
}

/** The kernel from the cache, or fetched into it from Debian's archive when it is not there yet. */
export async function prepareKernel(name: KernelName, cacheDir: string, progress: Progress): Promise<Kernel> {
  const directory = join(cacheDir, "kernels", name);
  return (await readCached(directory)) ?? (await fetchKernel(name, directory, progress));
}

async function readCached(directory: string): Promise<Kernel | undefined> {
  const text = await readFile(join(directory, "kernel.json"), "utf8").catch(() => undefined);
  return text === undefined ? undefined : { ...(JSON.parse(text) as Kernel), root: join(directory, "root") };
}

async function fetchKernel(name: KernelName, directory: string, progress: Progress): Promise<Kernel> {
  if (process.arch !== "x64") throw new Error(`guests need an x86_64 machine, this one is ${process.arch}`);
  await mkdir(join(directory, ".."), { recursive: true });
  const work = await mkdtemp(`${directory}.`);
  try {
    const packages = await downloadKernel(name, work, progress);
    const root = join(work, "root");
    const release = await unpackKernel(packages.files, root);
    const kernel = { name, release, version: packages.version };
    await writeFile(join(work, "kernel.json"), `${JSON.stringify(kernel, null, 2)}\n`);
    await publish(work, directory);
    progress(`kernel ${name}: ${release} (${packages.version}) is ready`);
    return { ...kernel, root: join(directory, "root") };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function downloadKernel(name: KernelName, work: string, progress: Progress) {
  const suite = new AptSuite(join(work, "apt"), SUITES[name]);
  progress(`kernel ${name}: reading the package lists of ${SUITES[name]}`);
  await suite.update(await findMirrors());
  const packages = await kernelPackages(suite);
  const image = packages.find((each) => each.name.startsWith("linux-image")) as Package;
  progress(`kernel ${name}: downloading ${packages.map((each) => each.name).join(", ")} (${image.version})`);
  return { version: image.version, files: await suite.download(packages, join(work, "deb")) };
}

/** Up to 7.1 one package has the kernel and its modules; later ones split it into linux-binary and linux-modules. */
async function kernelPackages(suite: AptSuite): Promise<Package[]> {
  const found: Package[] = [];
  const queue = (await suite.show("linux-image-amd64")).depends.filter(isKernelPackage);
  for (const name of queue) {
    const entry = await suite.show(name);
    found.push(entry);
    queue.push(
      ...entry.depends.filter((dependency) => isKernelPackage(dependency) && !queue.includes(dependency)),
    );
  }
  if (found.length === 0) throw new Error("linux-image-amd64 depends on no kernel package");
  return found;
}

const isKernelPackage = (name: string) => /^linux-(image|binary|modules)-\d/.test(name);

async function unpackKernel(files: string[], root: string): Promise<string> {
  await mkdir(root, { recursive: true });
  for (const file of files) await runProgram("dpkg-deb", ["-x", file, root]);
  // Newer packages have the modules below usr/lib only, where a merged /usr shows them below /lib.
  if (!(await exists(join(root, "lib")))) await symlink("usr/lib", join(root, "lib"));
  const [release] = await readdir(join(root, "lib/modules"));
  if (!release) throw new Error(`no modules in ${files.join(", ")}`);
  await findImage(root, release);
  await runProgram("depmod", ["-b", root, release]);
  return release;
}

/** Path of the bootable image of a kernel. */
export async function findImage(root: string, release: string): Promise<string> {
  const candidates = [
    join(root, "boot", `vmlinuz-${release}`),
    join(root, "lib/modules", release, "vmlinuz"),
  ];
  for (const path of candidates) if (await exists(path)) return path;
  throw new Error(`no kernel image: neither ${candidates.join(" nor ")}`);
}

/** Another run may have fetched the same kernel meanwhile: the first one stays, guests may have booted from it. */
async function publish(work: string, directory: string): Promise<void> {
  for (const scratch of ["apt", "deb"]) await rm(join(work, scratch), { recursive: true, force: true });
  await rename(work, directory).catch(async (error) => {
    if (!(await readCached(directory))) throw error;
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
