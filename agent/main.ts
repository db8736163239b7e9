/** Composition root of the agent: the only file here that reads the environment, handles signals or exits. */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { hostname, release } from "node:os";
import { join } from "node:path";
import { type ClusterAccess, inClusterAccess, kubeconfigAccess } from "../lib/cluster-access.ts";
import { createLogger, errorText, type Logger } from "../lib/logger.ts";
import { createRegistry } from "../lib/metrics.ts";
import packageJson from "../package.json" with { type: "json" };
import { type AgentDeps, CannotTraceError, PolicyAttachError, startAgent } from "./agent.ts";
import { loadBinding } from "./bpf/binding.ts";
import { type Command, type Config, parseCommand } from "./config.ts";
import { FileSink } from "./events/export/file.ts";
import type { EventSink } from "./events/export/sink.ts";
import { StdoutSink } from "./events/export/stdout.ts";
import type { ExportConfig } from "./export-config.ts";
import { helpText } from "./options.ts";
import { type FileSource, PolicyFileError, readPolicyFiles } from "./policies/sources/files.ts";
import { findHostProcfs } from "./process/host-procfs.ts";
import { planReload, type RunCommand } from "./reload.ts";
import type { Settings } from "./settings.ts";
import { describeStartFailure } from "./start-failure.ts";

/** Exit statuses, also in `--help`. */
const EXIT = { failed: 1, usage: 2, cannotTrace: 3 } as const;
/** The kubelet shows what stands here as the reason of the container's end. */
const TERMINATION_LOG = "/dev/termination-log";
/** Less than the grace period of manifests/base/agent-daemonset.yaml. */
const STOP_SECONDS = 25;

const command = await readCommand();
switch (command.kind) {
  case "help":
    process.stdout.write(helpText());
    break;
  case "version":
    process.stdout.write(`trigon-agent ${packageJson.version}\n`);
    break;
  case "error":
    process.stderr.write(`${command.message}\n`);
    process.exitCode = EXIT.usage;
    break;
  case "run":
    await run(command);
}

function readCommand(): Promise<Command> {
  const sources = { argv: process.argv.slice(2), env: process.env, readDirectory: readTexts };
  return parseCommand(sources, hostname());
}

/** Names with a dot before them are those of a ConfigMap's own links. */
function readTexts(directory: string): Map<string, string> {
  const paths = readdirSync(directory)
    .filter((name) => !name.startsWith("."))
    .map((name) => [name, join(directory, name)] as const);
  const files = paths.filter(([, path]) => statSync(path).isFile());
  return new Map(files.map(([name, path]) => [name, readFileSync(path, "utf8")]));
}

async function run({ config, settings }: RunCommand): Promise<void> {
  const logger = createLogger({ component: "agent", level: config.logLevel, format: config.logFormat });
  for (const warning of settings.warnings) logger.warn(warning);
  process.stderr.on("error", () => {}); // a log that nobody reads any more is no reason to end
  process.on("uncaughtException", (error) => end(logger, EXIT.failed, `unexpected: ${error.stack ?? error}`));
  // Neither the ring's reader nor a signal handler keeps a process alive.
  const alive = setInterval(() => {}, 1 << 30);
  try {
    const deps = await makeDeps(config, logger);
    reloadOnSignal(deps, settings);
    const running = new AsyncDisposableStack();
    stopOnSignal(running, logger);
    await startAgent(deps, running);
  } catch (error) {
    clearInterval(alive);
    const isPolicy = error instanceof PolicyFileError || error instanceof PolicyAttachError;
    if (isPolicy) end(logger, EXIT.failed, ...error.lines);
    else if (error instanceof CannotTraceError) end(logger, EXIT.cannotTrace, describeStart(error));
    else end(logger, EXIT.failed, `cannot start: ${errorText(error)}`);
  }
}

async function makeDeps(config: Config, logger: Logger): Promise<AgentDeps & { files: FileSource }> {
  const { policyFiles, policyDir, nodeName } = config;
  const files = await readPolicyFiles(
    { files: policyFiles, ...(policyDir !== undefined && { dir: policyDir }) },
    logger,
  );
  const access = await connect(config);
  const registry = createRegistry({ component: "agent", version: packageJson.version });
  logger.info(`trigon-agent ${packageJson.version}`, { node: nodeName, kernel: release() });
  return {
    config,
    version: packageJson.version,
    bpf: loadBinding(),
    sink: openSink(config.export, logger),
    files,
    access,
    procfs: findHostProcfs(config.procfs),
    logger,
    registry,
  };
}

async function connect(config: Config): Promise<ClusterAccess | undefined> {
  if (!config.kubernetes) return undefined;
  if (config.kubeconfig !== undefined) return kubeconfigAccess(config.kubeconfig);
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
  if (!host || !port) throw new Error("--kubernetes outside of a pod needs --kubeconfig FILE");
  return inClusterAccess({ host, port });
}

function openSink({ filename, mode, rotation }: ExportConfig, logger: Logger): EventSink {
  const options = { now: Date.now, say: (text: string) => logger.warn(`export: ${text}`) };
  return filename === undefined
    ? new StdoutSink(options)
    : new FileSink(filename, { ...options, mode, rotation });
}

/** One signal after the other. Settings that cannot be used change nothing. */
function reloadOnSignal(deps: AgentDeps & { files: FileSource }, settings: Settings): void {
  const { sink, files, logger } = deps;
  let apply = async (_: Config): Promise<void> => {
    throw new Error("the agent is still starting");
  };
  deps.onReload = (listener) => (apply = listener);
  let current = settings;
  let reloading = Promise.resolve();
  const reload = async () => {
    const plan = planReload(current, await readCommand());
    if (plan.kind === "refuse") throw new Error(plan.message);
    await apply(plan.config);
    const { needRestart } = plan;
    logger.info("SIGHUP: settings are read again");
    if (needRestart.length > 0) logger.warn("SIGHUP: some settings need a restart", { needRestart });
    logger.level = plan.config.logLevel;
    current = plan.settings;
  };
  process.on("SIGHUP", () => {
    if (sink instanceof FileSink) sink.reopen();
    files.refresh();
    reloading = reloading.then(reload).catch((error: unknown) => {
      logger.error(`SIGHUP: settings stay as they are: ${errorText(error)}`);
    });
  });
}

/** The first signal ends the agent in an orderly way, within a time; a second one at once. */
function stopOnSignal(running: AsyncDisposableStack, logger: Logger): void {
  let isStopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (isStopping) process.exit(EXIT.failed);
    isStopping = true;
    logger.info(`${signal}: stopping`);
    const late = `not stopped within ${STOP_SECONDS} s: events may be missing from the export`;
    setTimeout(() => end(logger, EXIT.failed, late), STOP_SECONDS * 1000).unref();
    running.disposeAsync().then(
      () => process.exit(),
      (error: unknown) => end(logger, EXIT.failed, `stop: ${errorText(error)}`),
    );
  };
  process.on("SIGTERM", stop).on("SIGINT", stop);
}

function describeStart(error: CannotTraceError): string {
  return describeStartFailure(error.cause, {
    effectiveCapabilities: effectiveCapabilities(),
    lockdown: readText("/sys/kernel/security/lockdown"),
    release: release(),
  });
}

function end(logger: Logger, status: number, ...lines: string[]): void {
  for (const line of lines) logger.error(line);
  try {
    if (process.env.KUBERNETES_SERVICE_HOST) writeFileSync(TERMINATION_LOG, `${lines.join("\n")}\n`);
  } catch {
    // read-only or absent: the log has it
  }
  logger.once("finish", () => process.exit(status));
  logger.end();
}

function effectiveCapabilities(): bigint {
  const digits = /^CapEff:\s*([0-9a-f]+)/m.exec(readText("/proc/self/status") ?? "")?.[1];
  return BigInt(`0x${digits ?? "0"}`);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
