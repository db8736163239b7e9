/** The initial RAM disk of a guest: busybox, the modules that reach the host's files, and init.sh. */
import { createHash } from "node:crypto";
import { access, chmod, copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Kernel } from "./kernels.ts";
import { runProgram } from "./program.ts";

const MODULES = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay"];
const BUSYBOX = "/bin/busybox";
const INIT = join(import.meta.dirname, "init.sh");

/** Builds the RAM disk unless the cache has it for this kernel and this init.sh; returns its path. */
export async function prepareInitramfs(kernel: Kernel): Promise<string> {
  const init = await readFile(INIT);
  const key = createHash("sha256").update(init).update(MODULES.join()).digest("hex").slice(0, 12);
  const path = join(kernel.root, "..", `initramfs-${key}.cpio`);
  const cached = await access(path).then(
    () => true,
    () => false,
  );
  if (!cached) await buildInitramfs(kernel, path);
  return path;
}

async function buildInitramfs(kernel: Kernel, path: string): Promise<void> {
  const work = await mkdtemp(`${path}.`);
  try {
    const tree = join(work, "tree");
    for (const directory of ["bin", "dev", "proc", "sys", "modules"]) {
      await mkdir(join(tree, directory), { recursive: true });
    }
    await copyFile(BUSYBOX, join(tree, "bin/busybox"));
    await copyFile(INIT, join(tree, "init"));
    await chmod(join(tree, "init"), 0o755);
    await writeFile(join(tree, "modules.list"), await copyModules(kernel, join(tree, "modules")));
    const archive = join(work, "initramfs.cpio");
    await runProgram("sh", ["-c", `find . | cpio --quiet -o -H newc > "$1"`, "sh", archive], { cwd: tree });
    await rename(archive, path);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Copies the modules, uncompressed, and returns their names in the order in which they load, one a line. */
async function copyModules(kernel: Kernel, directory: string): Promise<string> {
  const names: string[] = [];
  for (const source of await loadOrder(kernel)) {
    const name = basename(source).replace(/\.xz$/, "");
    if (names.includes(name)) continue;
    names.push(name);
    const target = join(directory, name);
    if (source.endsWith(".xz")) await runProgram("sh", ["-c", `xz -dc "$1" > "$2"`, "sh", source, target]);
    else await copyFile(source, target);
  }
  return names.map((name) => `${name}\n`).join("");
}

/** Leaves out modules that are built into this kernel. */
async function loadOrder(kernel: Kernel): Promise<string[]> {
  const args = ["-d", kernel.root, "-S", kernel.release, "--show-depends"];
  const outputs = await Promise.all(MODULES.map((name) => runProgram("modprobe", [...args, name])));
  return outputs.flatMap((output) =>
    [...output.matchAll(/^insmod (\S+)/gm)].map((match) => match[1] as string),
  );
}
