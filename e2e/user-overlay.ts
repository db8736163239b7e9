/** A kustomize overlay as a user would write it for a cluster of theirs. */
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { stringify } from "yaml";
import { PROJECT } from "./runner/run-tests.ts";

const MANIFESTS = join(PROJECT, "manifests");
/** Image in the manifests. */
const NAME = "trigon.dev/trigon";

/** What the overlay adapts. */
export interface UserOverlay {
  /** REPOSITORY:TAG or REPOSITORY@sha256:DIGEST. */
  image: string;
  /** The API server is older than 1.36: see manifests/decision-pod-access.md. */
  needsAllPods: boolean;
}

/** Writes the overlay into a temporary directory and returns the directory. */
export async function writeOverlay({ image, needsAllPods }: UserOverlay): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "trigon-overlay-"));
  const from = (path: string) => relative(directory, join(MANIFESTS, path));
  const overlay = {
    apiVersion: "kustomize.config.k8s.io/v1beta1",
    kind: "Kustomization",
    resources: [from("overlays/default")],
    images: [{ name: NAME, ...parseImage(image) }],
    ...(needsAllPods && { components: [from("components/all-pods")] }),
  };
  await writeFile(join(directory, "kustomization.yaml"), stringify(overlay));
  return directory;
}

/** The parts of an image's name in kustomize's words; throws if there is neither a tag nor a digest. */
export function parseImage(image: string): { newName: string; newTag?: string; digest?: string } {
  const [, newName, newTag, digest] = /^([^@]+?)(?::([\w.-]+)|@(sha256:[0-9a-f]{64}))$/.exec(image) ?? [];
  if (newName === undefined)
    throw new Error(`--image: "${image}" is not REPOSITORY:TAG or REPOSITORY@sha256:DIGEST`);
  return { newName, ...(newTag !== undefined && { newTag }), ...(digest !== undefined && { digest }) };
}
