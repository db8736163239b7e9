/** The half of a cluster session that runs as process 1 of the cluster's namespaces; started by session.ts only. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { connect, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { step } from "../progress.ts";
import { Cluster } from "./cluster.ts";
import { describeTrigon, installTrigon } from "./install.ts";
import { NETWORK } from "./network.ts";
import { type FromInner, type InnerPlan, REPORT, type ToInner } from "./session.ts";

const plan = JSON.parse(process.argv[2] ?? "") as InnerPlan;
const progress = (line: string) => process.stderr.write(`${line}\n`);
/** A kept cluster has no reader for its output any more. */
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

const START_FAILED = 125;
const GRACE_MS = 10_000;
const SIGNAL_STATUS: Partial<Record<NodeJS.Signals, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

let command: ChildProcess | undefined;
let kept = false;
let cluster: Cluster | undefined;

process.on("message", (message: ToInner, handle) => {
  if (message.kind === "signal") end(message.signal);
  else forwardToApiServer(handle as Server);
});
process.on("disconnect", () => kept || end("SIGTERM"));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  // Ctrl-C on a terminal has reached the command as well. The command decides when to end.
  process.on(signal, () => (signal === "SIGINT" && process.stdin.isTTY && command) || end(signal));
}
// Everything else in these namespaces ends with this process.
process.exit(await main());

async function main(): Promise<number> {
  cluster = await start();
  if (!cluster) return START_FAILED;
  const status = await runCommand(cluster);
  if (status !== 0) await dump(cluster, `the command ended with ${status}`);
  if (plan.keep) await keep(cluster, status);
  await step(progress, "end the cluster", () => (cluster as Cluster).stop());
  return status;
}

async function start(): Promise<Cluster | undefined> {
  let started: Cluster | undefined;
  try {
    started = await Cluster.start({ ...plan, environment: process.env, progress });
    await installTrigon(started, progress);
    return started;
  } catch (error) {
    progress(`cluster: ${(error as Error).message}`);
    if (started) await dump(started, "Trigon did not become ready");
    return undefined;
  }
}

function runCommand({ environment }: Cluster): Promise<number> {
  const [program = "", ...args] = plan.command;
  const child = spawn(program, args, { stdio: "inherit", env: environment });
  command = child;
  return new Promise((resolve) => {
    child.once("error", (error) => {
      progress(`cluster: ${program}: ${error.message}`);
      resolve(127);
    });
    child.once("exit", (code, signal) => resolve(code ?? SIGNAL_STATUS[signal ?? "SIGTERM"] ?? 128));
  }).then((status) => {
    command = undefined;
    return status as number;
  });
}

/** Never resolves: a signal ends the session. */
async function keep({ plane }: Cluster, status: number): Promise<void> {
  const kubeconfig = join(plan.directory, "kubeconfig");
  await writeFile(kubeconfig, await hostKubeconfig(plane.kubeconfigPath), { mode: 0o600 });
  kept = true;
  process.send?.({ kind: "kept", kubeconfig, kubectl: plane.binaries.kubectl, status } satisfies FromInner);
  await new Promise(() => {});
}

/** The certificate does not contain the forwarded address: the kubeconfig names the one that it contains. */
async function hostKubeconfig(path: string): Promise<string> {
  const config = JSON.parse(await readFile(path, "utf8"));
  for (const { cluster } of config.clusters) {
    cluster.server = `https://127.0.0.1:${plan.hostPort}`;
    cluster["tls-server-name"] = "kubernetes.default";
  }
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

/** The socket belongs to the host's network, this process to the cluster's: that makes it the bridge between them. */
function forwardToApiServer(server: Server): void {
  server.on("connection", (client: Socket) => {
    const target = connect(443, NETWORK.hostAddress);
    client.pipe(target).pipe(client);
    client.on("error", () => target.destroy());
    target.on("error", () => client.destroy());
  });
}

function end(signal: NodeJS.Signals): void {
  const status = SIGNAL_STATUS[signal] ?? 128;
  if (!command) {
    void finish(status);
    return;
  }
  command.kill(signal);
  setTimeout(() => finish(status), GRACE_MS).unref();
}

async function finish(status: number): Promise<void> {
  if (kept) await rm(plan.directory, { recursive: true, force: true });
  process.exit(status);
}

async function dump(failed: Cluster, why: string): Promise<void> {
  const file = join(plan.directory, REPORT);
  await writeFile(file, `${await describeTrigon(failed, 2000)}${await failed.logs(500)}`);
  progress(`\n${await describeTrigon(failed, 25)}${await failed.logs(15)}`);
  progress(`cluster: ${why}; the report above in full: ${file}`);
}
