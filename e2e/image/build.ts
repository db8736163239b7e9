/** Builds the container images of a test cluster and puts them into a containerd image store, once per content. */
import { mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Binaries, findBinaries } from "../control-plane/binaries.ts";
import { runProgram } from "../guest/program.ts";
import { withLock } from "../lock.ts";
import { type Progress, step } from "../progress.ts";
import { type ImageFacts, readImageFacts, readImageFile } from "./archive.ts";
import { assembleHere, type Builder, bootstrapDebian, compileInImage, nearestBuilder } from "./base.ts";
import { archiveOf, Buildah } from "./buildah.ts";
import { contentHash } from "./content-hash.ts";
import { SBOM_PATH } from "./sbom.ts";

/** The image of operator and agent, as the manifests name it. */
export const TRIGON_IMAGE = "trigon.dev/trigon:dev";
/** The sandbox of every pod. */
export const PAUSE_IMAGE = "trigon.dev/pause:1";
/** A small Debian with su, setpriv and unshare. */
export const WORKLOAD_IMAGE = "trigon.dev/workload:dev";

const PROJECT = resolve(import.meta.dirname, "../..");

interface ImageRecipe {
  image: string;
  /** Directory with the sources. */
  directory: string;
  /** Sources of the image, below the directory. */
  inputs: string[];
  /** Writes the image to an archive. */
  write(archive: string, tools: Tools): Promise<void>;
}

/** What images are made with. */
interface Tools {
  buildah: Buildah;
  /** Directory of all archives. */
  directory: string;
  progress: Progress;
  /** Where the files of operator and agent are compiled; chosen if it is left out. */
  builder?: Builder;
}

const WORKLOAD: ImageRecipe = {
  image: WORKLOAD_IMAGE,
  directory: import.meta.dirname,
  inputs: ["base.ts"],
  write(archive, { buildah, progress }) {
    return bootstrapDebian(buildah, archiveOf(archive, this.image), progress);
  },
};

const TRIGON: ImageRecipe = {
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
  async write(archive, tools) {
    const { buildah, progress } = tools;
    const work = `${archive}.work`;
    await rm(work, { recursive: true, force: true });
    await mkdir(work);
    if ((tools.builder ?? (await nearestBuilder(work))) === "image") {
      const debian = async () => archiveOf(await prepareArchive(WORKLOAD, tools), WORKLOAD.image);
      const COMPILED = await compileInImage(buildah, PROJECT, debian, progress);
      await buildArchive(this, archive, { context: PROJECT, buildArgs: { BASE: COMPILED, COMPILED } }, tools);
    } else {
      await assembleHere(PROJECT, work, progress);
      // Instead of the Dockerfile's stage of that name.
      const options = ["--build-context", `assemble=${work}`];
      await buildArchive(this, archive, { context: work, options }, tools);
    }
    await rm(work, { recursive: true });
  },
};

const PAUSE: ImageRecipe = {
  image: PAUSE_IMAGE,
  directory: join(import.meta.dirname, "pause"),
  inputs: ["Dockerfile", "pause.c"],
  async write(archive, tools) {
    const source = join(this.directory, "pause.c");
    const context = join(PROJECT, "build/pause");
    await mkdir(context, { recursive: true });
    await runProgram("g++", ["-x", "c", "-Os", "-static", "-s", "-o", join(context, "pause"), source]);
    await buildArchive(this, archive, { context }, tools);
  },
};

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
    for (const recipe of [TRIGON, PAUSE, WORKLOAD])
      archives.push(await prepareArchive(recipe, { buildah, directory, progress }));
    return prepareStore(archives, directory, containerd, progress);
  });
}

/** Facts about the image of operator and agent, and about one that every stage of the Dockerfile makes of the same sources. */
export async function assembleAgain(
  cacheDir: string,
  progress: Progress,
): Promise<{ first: ImageFacts; second: ImageFacts; billOfMaterials: string }> {
  const directory = join(cacheDir, "images");
  return withLock(join(directory, "lock"), async () => {
    const tools: Tools = { buildah: await Buildah.open(join(directory, "buildah")), directory, progress };
    const archive = await prepareArchive(TRIGON, tools);
    const again = `${archive}.again`;
    await rm(again, { force: true });
    await TRIGON.write(again, { ...tools, builder: "image" });
    const [first, second] = [await readImageFacts(archive), await readImageFacts(again)];
    await rm(again);
    return { first, second, billOfMaterials: await readImageFile(archive, SBOM_PATH) };
  });
}

async function prepareArchive(recipe: ImageRecipe, tools: Tools): Promise<string> {
  const { directory } = tools;
  const hash = await contentHash(recipe.directory, recipe.inputs, /\.test\.ts$|\/native\/test\//);
  const kind = recipe.image.replaceAll(/[/:]/g, "-");
  const archive = join(directory, `${kind}.${hash}.tar`);
  if (await exists(archive)) return archive;
  const part = `${archive}.part`;
  await rm(part, { force: true });
  await recipe.write(part, tools);
  await rename(part, archive);
  if (recipe === TRIGON) await writeFile(`${archive}.spdx.json`, await readImageFile(archive, SBOM_PATH));
  await removeOld(directory, `${kind}.`);
  return archive;
}

interface Build {
  context: string;
  buildArgs?: Record<string, string>;
  /** Of `buildah build`. */
  options?: string[];
}

async function buildArchive(
  { image, directory }: ImageRecipe,
  archive: string,
  { context, buildArgs = {}, options = [] }: Build,
  { buildah, progress }: Tools,
): Promise<void> {
  const dockerfile = ["--file", join(directory, "Dockerfile")];
  await step(progress, `build image ${image}`, () =>
    buildah.build(archiveOf(archive, image), context, buildArgs, [...dockerfile, ...options]),
  );
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
