/** kubectl as stories use it: the one on PATH, against the cluster in KUBECONFIG. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { waitUntil } from "../waiting.ts";

/** What kubectl says when it has reached no node, or the API server no etcd in time: the command can be given again. */
const NOT_REACHED =
  /error dialing backend|etcdserver: (request timed out|leader changed)|TLS handshake timeout/;
const TRIES = 3;

/** Output of a kubectl that succeeded; throws with its stderr otherwise. One that has reached nobody is run again. */
export async function kubectl(args: readonly string[], input?: string): Promise<string> {
  for (let tries = 1; ; tries++) {
    try {
      return await runKubectl(args, input);
    } catch (error) {
      if (tries === TRIES || !NOT_REACHED.test((error as Error).message)) throw error;
    }
  }
}

async function runKubectl(args: readonly string[], input?: string): Promise<string> {
  const child = spawn("kubectl", args, { stdio: ["pipe", "pipe", "pipe"] });
  // A kubectl that ends before it has read everything says why by its status and stderr.
  child.stdin.on("error", () => {});
  child.stdin.end(input ?? "");
  const [stdout, stderr, status] = await Promise.all([
    collect(child.stdout),
    collect(child.stderr),
    new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    }),
  ]);
  if (status !== 0) throw new Error(`kubectl ${args.join(" ")}: exit status ${status}: ${stderr.trim()}`);
  return stdout;
}

/** An object as JSON, or undefined when there is none. */
export async function getObject<T>(...args: string[]): Promise<T | undefined> {
  const text = await kubectl(["get", ...args, "--ignore-not-found", "-o", "json"]);
  return text.trim() === "" ? undefined : (JSON.parse(text) as T);
}

/** Lets `use` talk to a port of a pod while kubectl forwards one of this machine to it. */
export async function withForwardedPort<T>(
  namespace: string,
  pod: string,
  port: number,
  use: (url: string) => Promise<T>,
): Promise<T> {
  const args = ["port-forward", "-n", namespace, `pod/${pod}`, `:${port}`];
  const child = spawn("kubectl", args, { stdio: ["ignore", "pipe", "pipe"] });
  // Without a program the outputs end at once, and that is reported.
  child.once("error", () => {});
  const stderr = collect(child.stderr);
  try {
    return await use(`http://${await forwardedAddress(child.stdout)}`);
  } catch (error) {
    child.kill();
    const message = `kubectl ${args.join(" ")}: ${(await stderr).trim() || (error as Error).message}`;
    throw new Error(message, { cause: error });
  } finally {
    child.kill();
  }
}

/** kubectl prints it as soon as it listens. */
async function forwardedAddress(stdout: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: stdout })) {
    const address = /^Forwarding from (127\.0\.0\.1:\d+) /.exec(line)?.[1];
    if (address !== undefined) return address;
  }
  throw new Error("it ended before it listened");
}

/** Waits for a condition while the cluster makes progress; the error has what was seen last. */
export function until<T>(what: string, probe: () => Promise<T | undefined | false>): Promise<T> {
  return waitUntil({ what, probe, state: clusterState, intervalMs: 500 });
}

/** For a probe of `until`: one kubectl watches instead of one for each look. Throws if it has waited in vain. */
export function waitFor(condition: string, object: string): Promise<string> {
  return kubectl(["wait", `--for=${condition}`, object, "--timeout=10s"]);
}

/** What moves in a cluster, without what time alone changes. */
function clusterState(): Promise<string> {
  const columns = [
    "KIND:.kind",
    "NAMESPACE:.metadata.namespace",
    "NAME:.metadata.name",
    "PHASE:.status.phase",
    "CONDITIONS:.status.conditions[*].reason",
    "MESSAGES:.status.conditions[*].message",
  ];
  const kinds = "pods,tracingpolicies,tracingpoliciesnamespaced,tracingnodes";
  return kubectl(["get", kinds, "-A", "-o", `custom-columns=${columns.join(",")}`]);
}

async function collect(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
