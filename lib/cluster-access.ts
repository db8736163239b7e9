/** How to reach an API server: address, TLS and credentials, from a service account or from a kubeconfig. */
import { readFile } from "node:fs/promises";
import type { RequestOptions } from "node:https";

/** TLS options of node:https that a kubeconfig can set. */
export type TlsOptions = Pick<
  RequestOptions,
  "ca" | "cert" | "key" | "pfx" | "passphrase" | "servername" | "rejectUnauthorized"
>;

/** Address and credentials of one API server. */
export interface ClusterAccess {
  server: URL;
  tls: TlsOptions;
  /** Returns headers that authenticate one request; call it for each request, because tokens rotate. */
  authorize(): Promise<Record<string, string>>;
}

/** Where the kubelet mounts the service account. */
const SERVICE_ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount";

/** How often to read the token: the kubelet renews it long before it expires. client-go uses a minute, too. */
const TOKEN_MAX_AGE_MS = 60_000;

/** The API server's address, from the environment of a pod, and the directory of the service account. */
export interface InClusterOptions {
  host: string;
  port: string;
  directory?: string;
  now?: () => number;
}

/**
 * Access with the pod's service account. It does not use client-node, because importing that costs 89 MB of memory
 * (measured with 2.0.1 on Node 24), and an agent runs on every node.
 */
export async function inClusterAccess(options: InClusterOptions): Promise<ClusterAccess> {
  const directory = options.directory ?? SERVICE_ACCOUNT_DIRECTORY;
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  return {
    server: new URL(`https://${host}:${options.port}`),
    tls: { ca: await readFile(`${directory}/ca.crt`) },
    authorize: bearerFromFile(`${directory}/token`, options.now ?? Date.now),
  };
}

/** Access by a kubeconfig with everything that client-node understands (certificates, tokens, exec, OIDC). */
export async function kubeconfigAccess(file: string): Promise<ClusterAccess> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  config.loadFromFile(file);
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error(`${file}: the kubeconfig has no current context with a cluster`);

  const options = async () => {
    const filled: RequestOptions = {};
    await config.applyToHTTPSOptions(filled);
    return filled;
  };
  return {
    server: new URL(cluster.server),
    tls: tlsOptions(await options()),
    authorize: async () => headersOf(await options()),
  };
}

function bearerFromFile(file: string, now: () => number): ClusterAccess["authorize"] {
  let token = "";
  let readAt = Number.NEGATIVE_INFINITY;
  return async () => {
    if (now() - readAt >= TOKEN_MAX_AGE_MS) {
      token = (await readFile(file, "utf8")).trim();
      readAt = now();
    }
    return { authorization: `Bearer ${token}` };
  };
}

function tlsOptions(options: RequestOptions): TlsOptions {
  const { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized } = options;
  const all = { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function headersOf(options: RequestOptions): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {}))
    headers[name.toLowerCase()] = String(value);
  if (options.auth) headers.authorization = `Basic ${Buffer.from(options.auth).toString("base64")}`;
  return headers;
}
