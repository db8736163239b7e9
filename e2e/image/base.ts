/** Debian base images without a container registry, from the machine's own mirror. */
import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { AptSuite, findMirrors } from "../guest/apt.ts";
import { runProgram } from "../guest/program.ts";
import { type Progress, step } from "../progress.ts";
import type { Buildah } from "./buildah.ts";
import { contentHash } from "./content-hash.ts";

const SUITE = "bookworm";

const TOOLCHAIN = "localhost/trigon-base/toolchain";
const COMPILED = "localhost/trigon-base/compiled";

/** Where an image's files are compiled and put together. The result is the same, byte for byte. */
export type Builder = "machine" | "image";

/** What makes an image's files, or is copied into it. */
const TOOLS = [
  ...["clang-14", "g++-12", "binutils", "libbpf-dev"],
  ...["libbpf1", "libelf1", "zlib1g", "libc6", "libstdc++6", "libgcc-s1"],
];

/**
 * This machine, if it has the newest versions of the image's Debian release: installing them again takes minutes.
 * `directory` is for package lists.
 */
export async function nearestBuilder(directory: string): Promise<Builder> {
  const release = await readFile("/etc/os-release", "utf8");
  if (!release.includes(`VERSION_CODENAME=${SUITE}\n`)) return "image";
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const format = "--showformat=${Package} ${Version}\n";
  const installed = await runProgram("dpkg-query", ["--show", format, ...TOOLS]).catch(() => "");
  const suite = new AptSuite(join(directory, "apt"), SUITE);
  await suite.update(await findMirrors());
  const newest = await suite.showAll(TOOLS);
  const lines = new Set(installed.split("\n"));
  const isSame = newest.every(({ name, version }) => lines.has(`${name} ${version}`));
  return isSame && newest.length === TOOLS.length ? "machine" : "image";
}

/** Puts an image's files together on this machine: in DIRECTORY/image. */
export async function assembleHere(project: string, directory: string, progress: Progress): Promise<void> {
  await step(progress, "image build: put the files together", async () => {
    await runProgram("make", ["-C", join(project, "bpf")]);
    await runProgram("make", ["-C", join(project, "agent/native"), "addon"]);
    const script = join(import.meta.dirname, "assemble.ts");
    const command = [process.execPath, script, project, join(directory, "image")];
    await runProgram("sh", ["-c", 'umask 022; exec "$@"', "sh", ...command]);
  });
}

/**
 * Makes the image that a Dockerfile takes for its stage `compile`, if there is none; `project` contains the Dockerfile.
 * `debian` names the image that the compilers are installed in.
 */
export async function compileInImage(
  buildah: Buildah,
  project: string,
  debian: () => Promise<string>,
  progress: Progress,
): Promise<string> {
  const dockerfile = await readFile(join(project, "Dockerfile"), "utf8");
  const sources = await contentHash(project, COMPILE_INPUTS, /\/native\/test\//);
  const image = `${COMPILED}:${shortHash(stagesBefore(dockerfile, "assemble") + sources)}`;
  if (await buildah.has(image)) return image;
  const toolchain = `${TOOLCHAIN}:${shortHash(stagesBefore(dockerfile, "compile"))}`;
  const stage = (name: string, target: string, base: string) =>
    buildah.build(target, project, { BASE: base }, ["--target", name]);
  if (!(await buildah.has(toolchain))) {
    const base = await debian();
    await step(progress, "image build: install compilers (about 60 s)", () =>
      stage("toolchain", toolchain, base),
    );
    await buildah.removeOthers(TOOLCHAIN, toolchain);
  }
  await step(progress, "image build: compile BPF programs and addon (about 40 s)", () =>
    stage("compile", image, toolchain),
  );
  await buildah.removeOthers(COMPILED, image);
  return image;
}

const COMPILE_INPUTS = ["bpf", "agent/native", "node_modules/node-addon-api/package.json"];

/** The part of a Dockerfile that a stage's base depends on; throws when there is no such stage. */
export function stagesBefore(dockerfile: string, stage: string): string {
  const end = new RegExp(`^FROM .* AS ${stage}$`, "m").exec(dockerfile)?.index;
  if (end === undefined) throw new Error(`Dockerfile: no stage ${stage}`);
  return dockerfile.slice(0, end);
}

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** Makes an image of a small Debian, like `debian:bookworm-slim`, whose containers do nothing. */
export async function bootstrapDebian(buildah: Buildah, image: string, progress: Progress): Promise<void> {
  const { main, security } = await findMirrors();
  const sources = [
    `deb ${main} ${SUITE} main`,
    ...(security ? [`deb ${security} ${SUITE}-security main`] : []),
  ];
  await step(progress, `make an image of Debian ${SUITE} (about 20 s)`, () =>
    buildah.fromDirectory(image, ["sleep", "infinity"], async (directory) => {
      await runProgram("mmdebstrap", ["--variant=minbase", SUITE, directory, ...sources]);
      // A third of the files. Nobody reads them, and each is copied three times.
      for (const name of ["locale", "man"]) await rm(join(directory, "usr/share", name), { recursive: true });
    }),
  );
}
