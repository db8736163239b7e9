/** Debian base images without a container registry, from the machine's own mirror. */
import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
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

/** Images that others are built from. */
export interface Bases {
  toolchain: string;
  /** Stage `compile` of the Dockerfile. */
  compiled: string;
}

/** Makes the base images that do not exist yet; `project` contains the Dockerfile. */
export async function prepareBases(buildah: Buildah, project: string, progress: Progress): Promise<Bases> {
  const dockerfile = await readFile(join(project, "Dockerfile"), "utf8");
  const sources = await contentHash(project, COMPILE_INPUTS, /\/native\/test\//);
  const toolchain = `${TOOLCHAIN}:${shortHash(stagesBefore(dockerfile, "compile"))}`;
  const compiled = `${COMPILED}:${shortHash(stagesBefore(dockerfile, "assemble") + sources)}`;
  const stage = (name: string, image: string, base: string) =>
    buildah.build(image, project, { BASE: base }, ["--target", name]);
  if (!(await buildah.has(SLIM_BASE))) {
    await step(progress, `make a Debian ${SUITE} base image (about 25 s)`, () => bootstrapDebian(buildah));
  }
  if (!(await buildah.has(toolchain))) {
    await step(progress, "image build: install compilers (about 60 s)", () =>
      stage("toolchain", toolchain, SLIM_BASE),
    );
    await buildah.removeOthers(TOOLCHAIN, toolchain);
  }
  if (!(await buildah.has(compiled))) {
    await step(progress, "image build: compile BPF programs and addon (about 40 s)", () =>
      stage("compile", compiled, toolchain),
    );
    await buildah.removeOthers(COMPILED, compiled);
  }
  return { toolchain, compiled };
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

async function bootstrapDebian(buildah: Buildah): Promise<void> {
  const tar = join(buildah.directory, "base.tar");
  const { main, security } = await findMirrors();
  const sources = [
    `deb ${main} ${SUITE} main`,
    ...(security ? [`deb ${security} ${SUITE}-security main`] : []),
  ];
  await runProgram("mmdebstrap", ["--variant=minbase", SUITE, tar, ...sources]);
  await buildah.importRoot(SLIM_BASE, tar);
  await rm(tar);
}
