import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { runProgram } from "../guest/program.ts";
import type { ControlPlane } from "./control-plane.ts";

const CRDS = resolve(import.meta.dirname, "../../crds");

/** Applies every CRD of crds/ and resolves when the API serves them. */
export async function applyCrds(plane: Pick<ControlPlane, "binaries" | "kubeconfigPath">): Promise<void> {
  const files = (await readdir(CRDS)).filter((name) => /^tracing.*\.yaml$/.test(name));
  if (files.length === 0) throw new Error(`no CRD in ${CRDS}`);
  const crdFiles = files.flatMap((name) => ["-f", join(CRDS, name)]);
  const kubectl = (args: string[]) =>
    runProgram(plane.binaries.kubectl, ["--kubeconfig", plane.kubeconfigPath, ...args, ...crdFiles]);
  await kubectl(["apply", "--server-side"]);
  const established = () => kubectl(["wait", "--for=condition=Established", "--timeout=30s"]);
  // Right after its creation a CRD can have no conditions at all, which kubectl calls an error.
  await established().catch(established);
}
