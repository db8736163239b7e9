/** Runs a command with a cluster of its own: the half that stays outside of the cluster's namespaces. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KernelName } from "../guest/kernels.ts";
import type { Progress } from "../progress.ts";
import { type Prepared, prepareCluster } from "./prepare.ts";

/** The cluster to start and the command to run. */
export interface SessionOptions {
  /** Kernel of each node. */
  kernels: KernelName[];
  /** Indexes of the nodes that run inside a container. */
  inContainer?: readonly number[];
  command: string[];
  /** Ends before images are built and the cluster starts, because each wants the whole machine. */
  meanwhile?: Promise<void>[];
  /** The cluster outlives the command, whatever the command's exit status is. */
  keep: boolean;
  environment: NodeJS.ProcessEnv;
  progress: Progress;
}

/** Arguments of the inner half. */
export interface InnerPlan extends Prepared {
  kernels: KernelName[];
  inContainer: readonly number[];
  command: string[];
  keep: boolean;
  directory: string;
  /** Port on the host's loopback address that is forwarded to the API server, when the cluster is kept. */
  hostPort?: number;
}

/** File in the session's directory that the inner half writes after a failure. */
export const REPORT = "report.txt";

/** To the inner half. The listening socket of the host's network travels with `forward`. */
export type ToInner = { kind: "signal"; signal: NodeJS.Signals } | { kind: "forward" };

/** From the inner half. */
export type FromInner = { kind: "kept"; kubeconfig: string; kubectl: string; status: number };

/** Resolves to the command's exit status, or 125 if the cluster did not come up. */
export async function runInCluster(options: SessionOptions): Promise<number> {
  const { environment, progress, meanwhile } = options;
  const prepared = await prepareCluster(options.kernels, environment, progress, meanwhile);
  const directory = await mkdtemp(join(tmpdir(), "trigon-cluster-"));
  const server = options.keep ? await listen() : undefined;
  const { kernels, inContainer = [], command, keep } = options;
  const plan: InnerPlan = {
    ...prepared,
    kernels,
    inContainer,
    command,
    keep,
    directory,
    ...hostPort(server),
  };
  const inner = startInner(plan, options.environment);
  if (server) inner.send({ kind: "forward" } satisfies ToInner, server);
  const stopForwarding = forwardSignals(inner, keep);
  const ended = exitStatus(inner).then((status) => ({ status, kept: false }));
  const stays = whenKept(inner, options.progress).then((status) => ({ status, kept: true }));
  const { status, kept } = await Promise.race([ended, stays]);
  stopForwarding();
  server?.close();
  if (!kept) await removeAllButReport(directory);
  return status;
}

/** Keeps logs and reports, and removes keys and data. */
async function removeAllButReport(directory: string): Promise<void> {
  const names = await readdir(directory).catch((): string[] => []);
  for (const name of names.filter((each) => each !== REPORT)) {
    await rm(join(directory, name), { recursive: true, force: true });
  }
  if (!names.includes(REPORT)) await rm(directory, { recursive: true, force: true });
}

function hostPort(server: Server | undefined): { hostPort?: number } {
  const address = server?.address();
  return address && typeof address === "object" ? { hostPort: address.port } : {};
}

async function listen(): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return server;
}

/**
 * All processes of the cluster are in one PID namespace: when the inner half ends, however it ends, the kernel ends
 * every one of them. A kept cluster has a session of its own, away from the terminal.
 */
function startInner(plan: InnerPlan, environment: NodeJS.ProcessEnv): ChildProcess {
  const namespaces = ["--net", "--pid", "--fork", "--mount-proc", "--kill-child"];
  const script = join(import.meta.dirname, "inner.ts");
  const child = spawn("unshare", [...namespaces, process.execPath, script, JSON.stringify(plan)], {
    env: environment,
    detached: plan.keep,
    stdio: plan.keep ? ["ignore", "pipe", "pipe", "ipc"] : ["inherit", "inherit", "inherit", "ipc"],
  });
  child.stdout?.pipe(process.stdout);
  child.stderr?.pipe(process.stderr);
  return child;
}

/** On a terminal Ctrl-C reaches the inner half and the command directly, unless they have a session of their own. */
function forwardSignals(inner: ChildProcess, keep: boolean): () => void {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const forward = (signal: NodeJS.Signals) => {
    if (signal === "SIGINT" && process.stdin.isTTY && !keep) return;
    if (inner.connected) inner.send({ kind: "signal", signal } satisfies ToInner);
  };
  for (const signal of signals) process.on(signal, forward);
  return () => {
    for (const signal of signals) process.off(signal, forward);
  };
}

function exitStatus(inner: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    inner.once("error", reject);
    inner.once("close", (code) => resolve(code ?? 125));
  });
}

function whenKept(inner: ChildProcess, progress: Progress): Promise<number> {
  return new Promise((resolve) => {
    inner.once("message", async ({ kubeconfig, kubectl, status }: FromInner) => {
      progress(
        [
          "",
          "The cluster stays up. Use it from any terminal of this machine:",
          `  export KUBECONFIG=${kubeconfig}`,
          `  ${kubectl} get tracingpolicies`,
          `End it: kill ${await innerPid(inner)}`,
        ].join("\n"),
      );
      inner.disconnect();
      inner.unref();
      for (const stream of [inner.stdout, inner.stderr]) stream?.destroy();
      resolve(status);
    });
  });
}

/** unshare blocks signals while it waits, so they are sent to its child. */
async function innerPid(inner: ChildProcess): Promise<number> {
  return Number((await readFile(`/proc/${inner.pid}/task/${inner.pid}/children`, "utf8")).trim());
}
