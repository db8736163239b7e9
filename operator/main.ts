/** Composition root of the operator: the only file here that reads the environment, handles signals or exits. */
import { hostname } from "node:os";
import { type ClusterAccess, inClusterAccess, kubeconfigAccess } from "../lib/cluster-access.ts";
import { startHealthServer } from "../lib/health.ts";
import { KubeClient } from "../lib/kube.ts";
import { createLogger, errorText } from "../lib/logger.ts";
import { createRegistry } from "../lib/metrics.ts";
import packageJson from "../package.json" with { type: "json" };
import { compilePolicy } from "../policy/compile.ts";
import { type Admission, startAdmission } from "./admission/admission.ts";
import { type Config, parseCommand, USAGE } from "./config.ts";
import { startOperator } from "./operator.ts";

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
  const { version } = packageJson;
  const logger = createLogger({ component: "operator", level: config.logLevel, format: config.logFormat });
  const registry = createRegistry({ component: "operator", version });
  const { namespace, instance, patience, tolerance } = config;
  try {
    const client = new KubeClient(await connect(config), { userAgent: `trigon-operator/${version}` });
    const operator = startOperator({
      client,
      compile: compilePolicy,
      namespace,
      instance,
      patience,
      tolerance,
      logger,
      registry,
    });
    let admission: Admission | undefined;
    const stop = async () => {
      await admission?.stop();
      await operator.stop();
      client.transport.close();
    };
    const health = await startHealthServer({
      ...config.metricsServer,
      registry,
      live: {},
      ready: operator.checks,
    }).catch(async (error: unknown) => {
      await stop(); // its watches would keep the process alive
      throw error;
    });
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.once(signal, async () => {
        logger.info(`${signal}: stopping`);
        await stop();
        await health.close();
        process.exit(0); // also while the operator waits for an API server that does not answer
      });
    }
    if (config.webhookServer) {
      const names = [`trigon-operator.${namespace}.svc`, `trigon-operator.${namespace}.svc.cluster.local`];
      const { review } = operator;
      admission = await startAdmission({ ...config.webhookServer, client, review, names, logger }).catch(
        async (error: unknown) => {
          await Promise.all([stop(), health.close()]);
          throw error;
        },
      );
    }
    await operator.started;
  } catch (error) {
    logger.error(`cannot start: ${errorText(error)}`);
    process.exitCode = 1;
  }
}

function connect(config: Config): Promise<ClusterAccess> {
  if (config.kubeconfig !== undefined) return kubeconfigAccess(config.kubeconfig);
  if (config.inCluster === undefined) throw new Error("neither a kubeconfig nor a service account");
  return inClusterAccess(config.inCluster);
}
