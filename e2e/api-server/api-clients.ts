/** Clients of a test's API server, and functions that wait for a state. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";
import { KubeClient } from "../../lib/kube.ts";
import { makeApis } from "../../operator/cluster/api.ts";
import { OperatorClient } from "../../operator/cluster/client.ts";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import { runProgram } from "../guest/program.ts";

/** A client with this bearer token. */
export async function clientWith(
  plane: Pick<ControlPlane, "url" | "caFile">,
  bearer: string,
  userAgent: string,
): Promise<KubeClient> {
  const ca = await readFile(plane.caFile);
  const authorize = async () => ({ authorization: `Bearer ${bearer}` });
  return new KubeClient({ server: new URL(plane.url), tls: { ca }, authorize }, { userAgent });
}

/** The operator's client with this bearer token. */
export function operatorClientWith(
  plane: Pick<ControlPlane, "url" | "caFile">,
  token: string,
): OperatorClient {
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: "test", server: plane.url, caFile: plane.caFile, skipTLSVerify: false },
    { name: "operator", token },
  );
  return new OperatorClient(makeApis({ config, userAgent: "trigon-operator/test" }));
}

/** Token of a service account. */
export async function serviceAccountToken(
  plane: ControlPlane,
  namespace: string,
  name: string,
): Promise<string> {
  return (await kubectl(plane, "create", "token", name, "--namespace", namespace)).trim();
}

/** Runs kubectl as admin and returns its output. */
export function kubectl(plane: ControlPlane, ...args: string[]): Promise<string> {
  return runProgram(plane.binaries.kubectl, ["--kubeconfig", plane.kubeconfigPath, ...args]);
}

/** Every object of the cluster but those that come and go by themselves. */
export async function listAllObjects(plane: ControlPlane): Promise<string[]> {
  const kinds = (await kubectl(plane, "api-resources", "--verbs=list", "-o", "name"))
    .trim()
    .split("\n")
    .filter((kind) => !/^(events|leases|componentstatuses|endpoints|apiservices)\b/.test(kind));
  const everywhere = ["--all-namespaces", "--ignore-not-found", "-o", "name"];
  const names = await kubectl(plane, "get", kinds.join(","), ...everywhere);
  return names.trim().split("\n").sort();
}

/** A port of this machine that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** Waits until the check passes; its last error is the failure. */
export async function eventually<T>(check: () => T | Promise<T>, timeoutMs = 60_000): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await pause(50);
    }
  }
}

/** For what must not happen: there is no event to wait for. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
