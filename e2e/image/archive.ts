/** Reads an OCI archive with one layer, as buildah.ts exports it. */
import { runProgram } from "../guest/program.ts";

interface Manifest {
  config: { digest: string };
  layers: { digest: string }[];
}

/** What identifies the image, its labels, and the environment that it gives its programs. */
export interface ImageFacts {
  digest: string;
  labels: Record<string, string>;
  environment: Record<string, string>;
}

export async function readImageFacts(archive: string): Promise<ImageFacts> {
  const { digest, manifest } = await readManifest(archive);
  const config = JSON.parse(await readBlob(archive, manifest.config.digest)) as {
    config: { Labels?: Record<string, string>; Env?: string[] };
  };
  const { Labels: labels = {}, Env: variables = [] } = config.config;
  return { digest, labels, environment: environmentOf(variables) };
}

/** Of pairs `NAME=VALUE`. */
export function environmentOf(variables: readonly string[]): Record<string, string> {
  return Object.fromEntries(variables.map((pair) => pair.split(/=(.*)/s, 2)));
}

/** Text of a file in the image, by its path without a slash at the beginning. */
export async function readImageFile(archive: string, path: string): Promise<string> {
  const { manifest } = await readManifest(archive);
  const blob = blobPath(manifest.layers[0]?.digest ?? "");
  return runProgram("sh", ["-c", 'tar -xOf "$0" "$1" | zcat -f | tar -xOf - "$2"', archive, blob, path]);
}

async function readManifest(archive: string): Promise<{ digest: string; manifest: Manifest }> {
  const index = JSON.parse(await runProgram("tar", ["-xOf", archive, "index.json"])) as {
    manifests: { digest: string }[];
  };
  const digest = index.manifests[0]?.digest ?? "";
  return { digest, manifest: JSON.parse(await readBlob(archive, digest)) as Manifest };
}

function readBlob(archive: string, digest: string): Promise<string> {
  return runProgram("tar", ["-xOf", archive, blobPath(digest)]);
}

const blobPath = (digest: string) => `blobs/${digest.replace(":", "/")}`;
