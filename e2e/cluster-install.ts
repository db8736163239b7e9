/** Installs Trigon on a cluster that lacks it, and removes it again. */
import { rm } from "node:fs/promises";
import { DEFAULT_NAMESPACE } from "../crds/names.ts";
import { type Progress, step } from "./progress.ts";
import { writeOverlay } from "./user-overlay.ts";

/** The workloads of an installation. */
export const COMPONENTS = ["deployment/trigon-operator", "daemonset/trigon-agent"];

/** Runs kubectl on the cluster and returns its output. */
export type Kubectl = (...args: string[]) => Promise<string>;

/** What installIfMissing() has found or made. */
export interface Installed {
  /** Removes what was installed, unless it is to stay; a Trigon that was there before always stays. */
  end(keep: boolean): Promise<void>;
}

/** Installs the default overlay with this image if neither the operator nor the agents are there. */
export async function installIfMissing(run: Kubectl, image: string, progress: Progress): Promise<Installed> {
  if (await isInstalled(run)) return { end: async () => {} };
  const overlay = await writeOverlay({ image, needsAllPods: await isBefore136(run) });
  const end = async (keep: boolean) => {
    if (!keep)
      await step(progress, "remove Trigon", () => run("delete", "-k", overlay, "--ignore-not-found"));
    await rm(overlay, { recursive: true });
  };
  try {
    await step(progress, `install Trigon with the image ${image}`, async () => {
      const attempt = () => run("apply", "--server-side", "-k", overlay);
      await attempt().catch(attempt); // the API server may not serve a CRD yet that was created a moment ago
    });
  } catch (error) {
    await end(false);
    throw error;
  }
  return { end };
}

async function isInstalled(run: Kubectl): Promise<boolean> {
  const found = await run("get", ...COMPONENTS, "-n", DEFAULT_NAMESPACE, "--ignore-not-found", "-o", "name");
  return found.trim() !== "";
}

/** Older API servers cannot limit a right on pods to those of a node. */
async function isBefore136(run: Kubectl): Promise<boolean> {
  const { serverVersion } = JSON.parse(await run("version", "-o", "json")) as {
    serverVersion: { minor: string };
  };
  return Number.parseInt(serverVersion.minor, 10) < 36;
}
