/** Debian's kernels for guests, fetched once and kept in the cache. */
import {
  access,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Progress, step } from "../progress.ts";
import { AptSuite, findMirrors, type Package } from "./apt.ts";
import { extractKernel } from "./kernel-image.ts";
import { runProgram } from "./program.ts";

const SUITES = { "5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie", latest: "sid" } as const;

const WORK_SUFFIX = ".fetch-";

/** Names that `--kernel` takes; each is the newest kernel of one Debian release. */
export type KernelName = keyof typeof SUITES;

/** All kernels, oldest first. */
export const KERNEL_NAMES = Object.keys(SUITES) as KernelName[];

/** The default of `--kernel`. */
export const DEFAULT_KERNEL: KernelName = "6.1";

/** A kernel on this machine's disk. */
export interface Kernel {
  name: KernelName;
  /** What `uname -r` prints in the guest. */
  release: string;
  /** Debian's version of the package, e.g. "6.1.192-2". */
  version: string;
  /** The kernel as an ELF file, with its BTF. */
  image: string;
  /** The extracted packages: lib/modules/RELEASE and more. */
  root: string;
  /** Path of the kernel's configuration below `root`. */
  config: string;
}

/** The Debian release that a kernel is the newest of. */
export function suiteOf(name: KernelName): string {
  return SUITES[name];
}

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
  return text === undefined ? undefined : locate(JSON.parse(text) as KernelFacts, directory);
}

type KernelFacts = Omit<Kernel, "image" | "root">;

function locate(facts: KernelFacts, directory: string): Kernel {
  return { ...facts, image: join(directory, "vmlinux"), root: join(directory, "root") };
}

async function fetchKernel(name: KernelName, directory: string, progress: Progress): Promise<Kernel> {
  if (process.arch !== "x64") throw new Error(`guests need an x86_64 machine, this one is ${process.arch}`);
  await removeLeftovers(directory);
  const work = await mkdtemp(`${directory}${WORK_SUFFIX}`);
  try {
    const { version, files } = await downloadKernel(name, work, progress);
    const unpacked = await step(progress, `kernel ${name}: unpacking`, () => unpackKernel(files, work));
    const facts = { name, version, ...unpacked };
    await writeFile(join(work, "kernel.json"), `${JSON.stringify(facts, null, 2)}\n`);
    await publish(work, directory);
    return locate(facts, directory);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Removes directories that killed runs have left behind. A fetch takes a minute, so an hour is old enough. */
async function removeLeftovers(directory: string): Promise<void> {
  const parent = dirname(directory);
  await mkdir(parent, { recursive: true });
  for (const entry of await readdir(parent)) {
    if (!entry.startsWith(`${basename(directory)}${WORK_SUFFIX}`)) continue;
    const path = join(parent, entry);
    if (Date.now() - (await stat(path)).mtimeMs > 3_600_000) await rm(path, { recursive: true, force: true });
  }
}

async function downloadKernel(name: KernelName, work: string, progress: Progress) {
  const suite = new AptSuite(join(work, "apt"), SUITES[name]);
  const mirrors = await findMirrors();
  await step(progress, `kernel ${name}: package lists of Debian ${SUITES[name]}`, () =>
    suite.update(mirrors),
  );
  const packages = await kernelPackages(suite);
  const image = packages.find((each) => each.name.startsWith("linux-image")) as Package;
  const what = `kernel ${name}: download of ${image.name} ${image.version}`;
  return {
    version: image.version,
    files: await step(progress, what, () => suite.download(packages, join(work, "deb"))),
  };
}

/** Before 7.2 one package has the kernel and its modules; later ones split it into linux-binary, linux-modules and linux-base. */
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

const isKernelPackage = (name: string) => /^linux-(image|binary|modules|base)-\d/.test(name);

/** Drivers of devices that no guest has: more than half of a kernel's modules. */
const LEFT_OUT = [
  ...["sound", "drivers/gpu", "drivers/media", "drivers/net/ethernet", "drivers/net/wireless", "drivers/usb"],
  ...["drivers/iio", "drivers/infiniband", "drivers/scsi", "drivers/hid", "drivers/hwmon", "drivers/input"],
  ...["drivers/platform", "drivers/ata", "drivers/mtd", "drivers/i2c"],
].map((directory) => `--exclude=*/kernel/${directory}`);

/** A package into a directory, with options of tar. */
const UNPACK = 'package=$0 root=$1; shift; dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" "$@"';

async function unpackKernel(files: string[], work: string): Promise<{ release: string; config: string }> {
  const root = join(work, "root");
  await mkdir(root);
  for (const file of files) await runProgram("sh", ["-c", UNPACK, file, root, ...LEFT_OUT]);
  // Newer packages have the modules below usr/lib only, where a merged /usr shows them below /lib.
  if (!(await exists(join(root, "lib")))) await symlink("usr/lib", join(root, "lib"));
  const [release] = await readdir(join(root, "lib/modules"));
  if (!release) throw new Error(`no modules in ${files.join(", ")}`);
  await runProgram("depmod", ["-b", root, release]);
  await extractKernel(join(root, await findFile(root, release, "vmlinuz")), join(work, "vmlinux"));
  return { release, config: await findFile(root, release, "config") };
}

/** Since 7.2 these files are with the modules. */
async function findFile(root: string, release: string, name: string): Promise<string> {
  const candidates = [`boot/${name}-${release}`, `lib/modules/${release}/${name}`];
  for (const path of candidates) if (await exists(join(root, path))) return path;
  throw new Error(`the packages of ${release} have neither ${candidates.join(" nor ")}`);
}

/** Another run may have fetched the same kernel meanwhile. The first one stays, because guests may use it. */
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
