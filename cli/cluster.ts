/** The cluster that a command talks to. */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { type ClusterAccess, inClusterAccess, kubeconfigAccess } from "../lib/cluster-access.ts";
import { KubeClient } from "../lib/kube.ts";
import { UsageError } from "./streams.ts";

/** A client by the kubeconfig that is given, in a pod by its service account, else by ~/.kube/config. */
export async function connectToCluster(kubeconfig: string | undefined, version: string): Promise<KubeClient> {
  return new KubeClient(await accessTo(kubeconfig), { userAgent: `trigon/${version}` });
}

async function accessTo(kubeconfig: string | undefined): Promise<ClusterAccess> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = "443" } = process.env;
  if (kubeconfig === undefined && host !== undefined) return inClusterAccess({ host, port });
  const file = kubeconfig ?? join(homedir(), ".kube/config");
  if (existsSync(file)) return kubeconfigAccess(file);
  throw new UsageError(`--kubeconfig: there is no file ${file}`);
}
