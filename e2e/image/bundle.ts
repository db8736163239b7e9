/**
 * Joins each program of the image with the packages that it uses: a few files instead of a thousand. They load in a
 * third of the time and take less memory, because what no program uses is left out.
 */
import { resolve } from "node:path";
import { rolldown } from "rolldown";

/** The programs, by their path in the image. */
const PROGRAMS = {
  "agent/main": "agent/main.ts",
  "operator/main": "operator/main.ts",
  "cli/main": "cli/main.ts",
};

/** Packages that read files beside their own code, so they stay as they are. */
export const UNBUNDLED = ["@grpc/grpc-js", "@grpc/reflection", "grpc-health-check"];

/** Writes the programs of a checkout below `directory`. Names stay, so that stack traces can be read. */
export async function bundlePrograms(checkout: string, directory: string): Promise<void> {
  const bundle = await rolldown({
    cwd: resolve(checkout),
    input: PROGRAMS,
    platform: "node",
    external: (id) => id.startsWith("node:") || UNBUNDLED.includes(id),
    onLog: (level, log) => {
      if (level === "warn") console.warn(log.message);
    },
  });
  await bundle.write({
    dir: directory,
    format: "esm",
    comments: false,
    chunkFileNames: "shared/[name]-[hash].js",
  });
  await bundle.close();
}
