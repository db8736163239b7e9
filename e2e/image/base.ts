/** Debian base images without a container registry, from the machine's own mirror. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { findMirrors } from "../guest/apt.ts";
import { runProgram } from "../guest/program.ts";
import { type Progress, step } from "../progress.ts";
import type { Buildah } from "./buildah.ts";

const SUITE = "bookworm";

/** A small Debian, as `debian:bookworm-slim` is one. */
export const SLIM_BASE = "localhost/trigon-base/slim:1";

/** The build stage of the Dockerfile, so that later builds need no network. */
export const TOOLCHAIN_BASE = "localhost/trigon-base/toolchain:1";

/** Makes the two base images unless they are there already. */
export async function prepareBases(
  buildah: Buildah,
  dockerfileContext: string,
  progress: Progress,
): Promise<void> {
  if (!(await buildah.has(SLIM_BASE))) {
    await step(progress, `make a Debian ${SUITE} base image (about 25 s)`, () => bootstrapDebian(buildah));
  }
  if (!(await buildah.has(TOOLCHAIN_BASE))) {
    await step(progress, "install the image's compilers (about 60 s)", () =>
      buildah.build(TOOLCHAIN_BASE, dockerfileContext, { BASE: SLIM_BASE }, ["--target", "toolchain"]),
    );
  }
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
