/** Builds the container images of a test cluster and puts them into a containerd image store, once per content. */
import { mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Binaries, findBinaries } from "../control-plane/binaries.ts";
import { runProgram } from "../guest/program.ts";
import { withLock } from "../lock.ts";
import { type Progress, step } from "../progress.ts";
import { type ImageFacts, readImageFacts, readImageFile } from "./archive.ts";
import {
  assembleHere,
  type Builder,
  compileInImage,
  nearestBuilder,
  prepareSlim,
  SLIM_BASE,
} from "./base.ts";
import { Buildah } from "./buildah.ts";
import { contentHash } from "./content-hash.ts";
import { SBOM_PATH } from "./sbom.ts";

/** The image of operator and agent, as the manifests name it. */
export const TRIGON_IMAGE = "trigon.dev/trigon:dev";
/** The sandbox of every pod. */
export const PAUSE_IMAGE = "trigon.dev/pause:1";
/** A small Debian with su, setpriv, unshare, and copies of id that are setuid (suid-id) and setgid (sgid-id). */
export const WORKLOAD_IMAGE = "trigon.dev/workload:dev";

const PROJECT = resolve(import.meta.dirname, "../..");

interface ImageRecipe {
  image: string;
  /** Directory with the Dockerfile and the sources. */
  directory: string;
  /** Sources of the image, below the directory. */
  inputs: string[];
  /** Makes what the image is built from. `work` exists until it is built. */
  prepare(buildah: Buildah, work: string, progress: Progress, builder?: Builder): Promise<Build>;
}

interface Build {
  context: string;
  buildArgs: Record<string, string>;
  /** Of `buildah build`. */
  options?: string[];
}

const RECIPES: ImageRecipe[] = [
  {
    image: TRIGON_IMAGE,
    directory: PROJECT,
    inputs: [
      "Dockerfile",
      ".dockerignore",
      "package.json",
      "package-lock.json",
      "e2e/image",
      "bpf",
      "crds",
      "policy",
    ].concat(["lib", "operator", "agent", "cli", "proto"]),
    async prepare(buildah, work, progress, builder) {
      if ((builder ?? (await nearestBuilder(work))) === "image") {
        const compiled = await compileInImage(buildah, PROJECT, progress);
        return { context: PROJECT, buildArgs: { BASE: SLIM_BASE, COMPILED: compiled } };
      }
      await assembleHere(PROJECT, work, progress);
      // Instead of the Dockerfile's stage of that name.
      return { context: work, buildArgs: {}, options: ["--build-context", `assemble=${work}`] };
    },
  },
  {
    image: PAUSE_IMAGE,
    directory: join(import.meta.dirname, "pause"),
    inputs: ["Dockerfile", "pause.c"],
    async prepare() {
      const source = join(this.directory, "pause.c");
      const context = join(PROJECT, "build/pause");
      await mkdir(context, { recursive: true });
      await runProgram("g++", ["-x", "c", "-Os", "-static", "-s", "-o", join(context, "pause"), source]);
      return { context, buildArgs: {} };
    },
  },
  {
    image: WORKLOAD_IMAGE,
    directory: join(import.meta.dirname, "workload"),
    inputs: ["Dockerfile"],
    async prepare(buildah, _work, progress) {
      await prepareSlim(buildah, progress);
      return { context: this.directory, buildArgs: { BASE: SLIM_BASE } };
    },
  },
];

/** Returns the directory of a containerd root that has every image unpacked, for nodes to start from. */
export async function prepareImages(
  cacheDir: string,
  environment: NodeJS.ProcessEnv,
  progress: Progress,
): Promise<string> {
  const directory = join(cacheDir, "images");
  const containerd = await findBinaries(["containerd", "ctr"], environment, progress);
  return withLock(join(directory, "lock"), async () => {
    const buildah = await Buildah.open(join(directory, "buildah"));
    const archives: string[] = [];
    for (const recipe of RECIPES) archives.push(await prepareArchive(recipe, directory, buildah, progress));
    return prepareStore(archives, directory, containerd, progress);
  });
}

/** Facts about the image of operator and agent, and about one that every stage of the Dockerfile makes of the same sources. */
export async function assembleAgain(
  cacheDir: string,
  progress: Progress,
): Promise<{ first: ImageFacts; second: ImageFacts; billOfMaterials: string }> {
  const directory = join(cacheDir, "images");
  const recipe = RECIPES.find(({ image }) => image === TRIGON_IMAGE) as ImageRecipe;
  return withLock(join(directory, "lock"), async () => {
    const buildah = await Buildah.open(join(directory, "buildah"));
    const archive = await prepareArchive(recipe, directory, buildah, progress);
    const again = `${archive}.again`;
    await writeArchive({ ...recipe, image: `${TRIGON_IMAGE}-again` }, again, buildah, progress, "image");
    const [first, second] = [await readImageFacts(archive), await readImageFacts(again)];
    await rm(again);
    return { first, second, billOfMaterials: await readImageFile(archive, SBOM_PATH) };
  });
}

async function prepareArchive(
  recipe: ImageRecipe,
  directory: string,
  buildah: Buildah,
  progress: Progress,
): Promise<string> {
  const hash = await contentHash(recipe.directory, recipe.inputs, /\.test\.ts$|\/native\/test\//);
  const kind = recipe.image.replaceAll(/[/:]/g, "-");
  const archive = join(directory, `${kind}.${hash}.tar`);
  if (await exists(archive)) return archive;
  await writeArchive(recipe, `${archive}.part`, buildah, progress);
  await rename(`${archive}.part`, archive);
  if (recipe.image === TRIGON_IMAGE)
    await writeFile(`${archive}.spdx.json`, await readImageFile(archive, SBOM_PATH));
  await removeOld(directory, `${kind}.`);
  return archive;
}

/** `builder` is chosen if it is left out. */
async function writeArchive(
  recipe: ImageRecipe,
  archive: string,
  buildah: Buildah,
  progress: Progress,
  builder?: Builder,
): Promise<void> {
  const { image, directory } = recipe;
  const work = `${archive}.work`;
  await rm(work, { recursive: true, force: true });
  await mkdir(work);
  const { context, buildArgs, options = [] } = await recipe.prepare(buildah, work, progress, builder);
  await step(progress, `build image ${image}`, async () => {
    await buildah.build(image, context, buildArgs, ["--file", join(directory, "Dockerfile"), ...options]);
    await buildah.export(image, archive);
    await buildah.remove(image);
  });
  await rm(work, { recursive: true });
}

/** Imported here instead of on each node: under emulation an import takes half a minute, and each node repeats it. */
async function prepareStore(
  archives: string[],
  directory: string,
  binaries: Binaries<"containerd" | "ctr">,
  progress: Progress,
): Promise<string> {
  const hash = archives.map((path) => path.split(".").at(-2)).join("-");
  const store = join(directory, `store.${hash}`);
  if (await exists(store)) return store;
  const script = join(import.meta.dirname, "import.sh");
  await step(progress, "unpack the images for the nodes", async () => {
    const args = ["--mount", "sh", script, binaries.containerd, binaries.ctr, `${store}.part`, ...archives];
    await runProgram("unshare", args);
    await rename(`${store}.part`, store);
  });
  await removeOld(directory, "store.");
  return store;
}

const DAY_MS = 86_400_000;
const KEPT = 2;

/** Removes old stores but keeps the newest, and those that are recent, which running clusters may use. */
async function removeOld(directory: string, prefix: string): Promise<void> {
  const names = (await readdir(directory)).filter((name) => name.startsWith(prefix));
  const times = await Promise.all(
    names.map(async (name) => ({ name, time: (await stat(join(directory, name))).mtimeMs })),
  );
  const old = times.sort((a, b) => b.time - a.time).slice(KEPT);
  for (const { name, time } of old) {
    if (time < Date.now() - DAY_MS) await rm(join(directory, name), { recursive: true, force: true });
  }
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
