/** Debian base images without a container registry, from the machine's own mirror. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { findMirrors } from "../guest/apt.ts";
import { runProgram } from "../guest/program.ts";
import { type Progress, step } from "../progress.ts";
import type { Buildah } from "./buildah.ts";
import { contentHash } from "./content-hash.ts";

const SUITE = "bookworm";

/** A small Debian, as `debian:bookworm-slim` is one. */
export const SLIM_BASE = "localhost/trigon-base/slim:1";

const TOOLCHAIN = "localhost/trigon-base/toolchain";
const COMPILED = "localhost/trigon-base/compiled";

/** Images that others are built from. */
export interface Bases {
  toolchain: string;
  /** Stage `compile` of the Dockerfile. */
  compiled: string;
}

/** Makes the base images that are not there yet; the project's directory has the Dockerfile. */
export async function prepareBases(buildah: Buildah, project: string, progress: Progress): Promise<Bases> {
  const toolchain = `${TOOLCHAIN}:${await contentHash(project, ["Dockerfile"], NOTHING)}`;
  const sources = ["Dockerfile", "bpf", "agent/native", "node_modules/node-addon-api/package.json"];
  const compiled = `${COMPILED}:${await contentHash(project, sources, /\/native\/test\//)}`;
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

const NOTHING = /^$/;

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
