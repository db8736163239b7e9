/** Debian base images without a container registry, from the machine's own mirror. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { findMirrors } from "../guest/apt.ts";
import { runProgram } from "../guest/program.ts";
import { type Progress, step } from "../progress.ts";
import type { Buildah } from "./buildah.ts";
import { contentHash } from "./content-hash.ts";

const SUITE = "bookworm";

/** A small Debian, like `debian:bookworm-slim`. */
export const SLIM_BASE = "localhost/trigon-base/slim:1";

const TOOLCHAIN = "localhost/trigon-base/toolchain";
const COMPILED = "localhost/trigon-base/compiled";

/** Where the BPF object and the addon of an image are compiled. The result is the same, byte for byte. */
export type Compilers = "machine" | "image";

/** This machine's own compilers, if they are those of the image's Debian release: installing them again takes minutes. */
export async function nearestCompilers(): Promise<Compilers> {
  const release = await readFile("/etc/os-release", "utf8");
  const found = await runProgram("sh", ["-c", "command -v clang; command -v g++"]).catch(() => "");
  const isSame =
    release.includes(`VERSION_CODENAME=${SUITE}\n`) && found === "/usr/bin/clang\n/usr/bin/g++\n";
  return isSame ? "machine" : "image";
}

/** Makes the image that a Dockerfile takes for its stage `compile`, if there is none; `project` contains the Dockerfile. */
export async function prepareCompiled(
  buildah: Buildah,
  project: string,
  compilers: Compilers,
  progress: Progress,
): Promise<string> {
  const dockerfile = await readFile(join(project, "Dockerfile"), "utf8");
  const sources = await contentHash(project, COMPILE_INPUTS, /\/native\/test\//);
  const image = `${COMPILED}-${compilers}:${shortHash(stagesBefore(dockerfile, "assemble") + sources)}`;
  if (await buildah.has(image)) return image;
  if (compilers === "machine") await copyCompiled(buildah, project, image, progress);
  else await compileInImage(buildah, project, image, progress);
  await buildah.removeOthers(`${COMPILED}-${compilers}`, image);
  return image;
}

async function copyCompiled(buildah: Buildah, project: string, image: string, progress: Progress) {
  await prepareSlim(buildah, progress);
  await step(progress, "image build: take the BPF programs and the addon", async () => {
    await runProgram("make", ["-C", join(project, "bpf")]);
    await runProgram("make", ["-C", join(project, "agent/native"), "addon"]);
    const recipe = ["--file", join(import.meta.dirname, "compiled.Dockerfile")];
    await buildah.build(image, join(project, "build"), { BASE: SLIM_BASE }, recipe);
  });
}

async function compileInImage(buildah: Buildah, project: string, image: string, progress: Progress) {
  await prepareSlim(buildah, progress);
  const dockerfile = await readFile(join(project, "Dockerfile"), "utf8");
  const toolchain = `${TOOLCHAIN}:${shortHash(stagesBefore(dockerfile, "compile"))}`;
  const stage = (name: string, target: string, base: string) =>
    buildah.build(target, project, { BASE: base }, ["--target", name]);
  if (!(await buildah.has(toolchain))) {
    await step(progress, "image build: install compilers (about 60 s)", () =>
      stage("toolchain", toolchain, SLIM_BASE),
    );
    await buildah.removeOthers(TOOLCHAIN, toolchain);
  }
  await step(progress, "image build: compile BPF programs and addon (about 40 s)", () =>
    stage("compile", image, toolchain),
  );
}

/** Makes SLIM_BASE if there is none. */
export async function prepareSlim(buildah: Buildah, progress: Progress): Promise<void> {
  if (await buildah.has(SLIM_BASE)) return;
  await step(progress, `make a Debian ${SUITE} base image (about 25 s)`, () => bootstrapDebian(buildah));
}

const COMPILE_INPUTS = [
  "bpf",
  "agent/native",
  "node_modules/node-addon-api/package.json",
  "e2e/image/compiled.Dockerfile",
];

/** The part of a Dockerfile that a stage's base depends on; throws when there is no such stage. */
export function stagesBefore(dockerfile: string, stage: string): string {
  const end = new RegExp(`^FROM .* AS ${stage}$`, "m").exec(dockerfile)?.index;
  if (end === undefined) throw new Error(`Dockerfile: no stage ${stage}`);
  return dockerfile.slice(0, end);
}

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

async function bootstrapDebian(buildah: Buildah): Promise<void> {
  const { main, security } = await findMirrors();
  const sources = [
    `deb ${main} ${SUITE} main`,
    ...(security ? [`deb ${security} ${SUITE}-security main`] : []),
  ];
  await buildah.fromDirectory(SLIM_BASE, async (directory) => {
    await runProgram("mmdebstrap", ["--variant=minbase", SUITE, directory, ...sources]);
  });
}
