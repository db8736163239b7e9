/** Composition root of the operator: the only file here that reads the environment, handles signals or exits. */
import { hostname } from "node:os";
import { KubeConfig } from "@kubernetes/client-node";
import { type ClusterAccess, inClusterAccess, kubeconfigAccess } from "../lib/cluster-access.ts";
import { collectGarbage } from "../lib/collect-garbage.ts";
import { type HealthServer, startHealthServer } from "../lib/health.ts";
import { KubeClient } from "../lib/kube.ts";
import { createLogger, errorText, type Logger } from "../lib/logger.ts";
import { createRegistry } from "../lib/metrics.ts";
import { SpareMemory } from "../lib/spare-memory.ts";
import packageJson from "../package.json" with { type: "json" };
import { type Admission, startAdmission } from "./admission/admission.ts";
import { reviewPolicy } from "./admission/review.ts";
import { makeApis } from "./cluster/api.ts";
import { OperatorClient } from "./cluster/client.ts";
import { Elector } from "./cluster/elector.ts";
import { type Compiler, makeCompiler } from "./compiler/compiler.ts";
import { type Config, parseCommand, USAGE } from "./config.ts";
import { type Operator, startOperator } from "./operator.ts";

const LEASE_NAME = "trigon-operator";

/** Beside this file, in the sources and in the image. */
const COMPILER_THREAD = import.meta.filename.endsWith(".ts")
  ? new URL("./compiler/compiler-thread.ts", import.meta.url)
  : new URL("./compiler-thread.js", import.meta.url);

const command = parseCommand(process.argv.slice(2), process.env, hostname());
if (command.kind === "help") {
  process.stdout.write(USAGE);
} else if (command.kind === "error") {
  process.stderr.write(`${command.message}\n\n${USAGE}`);
  process.exitCode = 2;
} else {
  await run(command.config);
}

async function run(config: Config): Promise<void> {
  const { logLevel, logFormat, namespace, instance } = config;
  const logger = createLogger({ component: "operator", level: logLevel, format: logFormat });
  try {
    const connection = { config: connect(config), userAgent: `trigon-operator/${packageJson.version}` };
    const elector = new Elector({
      coordination: makeApis(connection).coordination,
      namespace,
      name: LEASE_NAME,
      identity: `${instance}_${crypto.randomUUID()}`,
      logger,
      monotonicMs: () => performance.now(),
    });
    const apis = makeApis({ ...connection, mayWriteMs: () => elector.leadsForMs });
    await lead(config, logger, elector, new OperatorClient(apis));
  } catch (error) {
    logger.error(`cannot start: ${errorText(error)}`);
    process.exitCode = 1;
  }
}

/** Waits for the lease, works while it is held, and ends the process when it is lost: a new one waits for it again. */
async function lead(config: Config, logger: Logger, elector: Elector, client: OperatorClient): Promise<void> {
  const registry = createRegistry({ component: "operator", version: packageJson.version });
  const ready: Record<string, () => string | undefined> = {};
  const health = await startHealthServer({ ...config.metricsServer, registry, live: {}, ready });
  const stopping = new AbortController();
  const compiler = makeCompiler({ program: COMPILER_THREAD });
  const { compile } = compiler;
  const running: Running = { compiler };
  stopOnSignals(logger, { stopping, running, elector, health });
  running.admission = await serveAdmission(config, logger, running);

  await elector.acquire(stopping.signal);
  if (stopping.signal.aborted) return;
  const { namespace, instance, patience, tolerance } = config;
  const memory = new SpareMemory({ residentBytes: () => process.memoryUsage.rss(), release: collectGarbage });
  const onWork = () => memory.touch();
  const parts = { client, compile, namespace, instance, patience, tolerance, onWork, logger, registry };
  running.operator = startOperator(parts);
  Object.assign(ready, running.operator.checks);
  await elector.hold(stopping.signal);
  if (stopping.signal.aborted) return;
  logger.error("the lease was lost: another replica leads");
  process.exit(1);
}

/** What runs; the operator only on the replica that leads. */
interface Running {
  compiler: Compiler;
  operator?: Operator;
  admission?: Admission | undefined;
}

/** Every replica answers API servers; which hooks nodes lack is known to the one that leads. */
async function serveAdmission(
  config: Config,
  logger: Logger,
  running: Running,
): Promise<Admission | undefined> {
  const { webhookServer, webhookNames, namespace } = config;
  const host = `${webhookNames.service}.${namespace}.svc`;
  const { compile } = running.compiler;
  if (!webhookServer) return undefined;
  return startAdmission({
    ...webhookServer,
    client: new KubeClient(await lightAccess(config), {
      userAgent: `trigon-operator/${packageJson.version}`,
    }),
    // A replica that does not lead knows of no node.
    review: (body) => running.operator?.review(body) ?? reviewPolicy({ compile, missing: () => [] }, body),
    configuration: webhookNames.configuration,
    names: [host, `${host}.cluster.local`],
    logger,
  });
}

function stopOnSignals(
  logger: Logger,
  parts: {
    stopping: AbortController;
    running: Running;
    elector: Elector;
    health: HealthServer;
  },
): void {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, async () => {
      logger.info(`${signal}: stopping`);
      parts.stopping.abort();
      await parts.running.admission?.stop();
      await Promise.all([parts.running.operator?.stop(), parts.running.compiler.close()]);
      await parts.elector.release();
      await parts.health.close();
      process.exit(0); // also while the operator waits for an API server that does not answer
    });
  }
}

function connect({ kubeconfig }: Config): KubeConfig {
  const config = new KubeConfig();
  if (kubeconfig === undefined) config.loadFromCluster();
  else config.loadFromFile(kubeconfig);
  return config;
}

function lightAccess({ kubeconfig, inCluster }: Config): Promise<ClusterAccess> {
  if (kubeconfig !== undefined) return kubeconfigAccess(kubeconfig);
  if (inCluster === undefined) throw new Error("neither a kubeconfig nor a service account");
  return inClusterAccess(inCluster);
}
