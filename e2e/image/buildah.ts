import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { runProgram } from "../guest/program.ts";

/**
 * Names an image that is not kept in a store but written to an OCI archive, with uncompressed layers: nobody copies it
 * from here and compresses and unpacks it on the way. Also names one that another is built from.
 */
export const archiveOf = (file: string, image: string) => `oci-archive:${file}:${image}`;

/**
 * Builds images with a store of its own, without a daemon. It needs nothing from the kernel but chroot: vfs copies
 * layers instead of mounting overlays, which works inside a container, too.
 */
export class Buildah {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** `directory` is for the store. */
  static async open(directory: string): Promise<Buildah> {
    await mkdir(directory, { recursive: true });
    return new Buildah(directory);
  }

  async has(image: string): Promise<boolean> {
    return this.#run(["inspect", "--type", "image", image]).then(
      () => true,
      () => false,
    );
  }

  /** Builds CONTEXT/Dockerfile. The image replaces one of the same name, or is an archive (`archiveOf`). */
  async build(
    image: string,
    context: string,
    buildArgs: Record<string, string>,
    options: string[] = [],
  ): Promise<void> {
    const args = Object.entries(buildArgs).flatMap(([key, value]) => ["--build-arg", `${key}=${value}`]);
    await this.#run([
      "build",
      "--isolation",
      "chroot",
      "--squash",
      // Of the image and of every file in it: equal contents give an equal digest.
      "--timestamp",
      process.env.SOURCE_DATE_EPOCH ?? "0",
      ...args,
      ...options,
      "-t",
      image,
      context,
    ]);
    await this.#run(["rmi", "--prune", "--force"]);
  }

  /** Makes an image of what `fill` puts into an empty root directory; the image is an archive, too. */
  async fromDirectory(
    image: string,
    command: readonly string[],
    fill: (directory: string) => Promise<void>,
  ): Promise<void> {
    const container = (await this.#run(["from", "scratch"])).trim();
    try {
      await fill((await this.#run(["mount", container])).trim());
      await this.#run(["config", "--cmd", JSON.stringify(command), container]);
      await this.#run(["commit", "-q", "--disable-compression", container, image]);
    } finally {
      await this.#run(["rm", container]);
    }
  }

  async remove(image: string): Promise<void> {
    await this.#run(["rmi", "--force", image]);
  }

  /** Removes all images of a repository except one. */
  async removeOthers(repository: string, kept: string): Promise<void> {
    const names = await this.#run(["images", "--format", "{{.Name}}:{{.Tag}}"]);
    const others = names.split("\n").filter((name) => name.startsWith(`${repository}:`) && name !== kept);
    for (const name of others) await this.remove(name);
  }

  #run(args: string[]): Promise<string> {
    const store = ["--root", join(this.#directory, "root"), "--runroot", join(this.#directory, "run")];
    return runProgram("buildah", [...store, "--storage-driver", "vfs", ...args]);
  }
}
