/** Flags and environment, read once into a typed Config. */
import { parseArgs } from "node:util";
import { DEFAULT_NAMESPACE } from "../crds/names.ts";
import { DEFAULT_PATIENCE, type Patience, parseTolerance, type Tolerance } from "./status/patience.ts";

/** All settings of the operator. */
export interface Config {
  namespace: string;
  /** Absent: the service account of the Pod. */
  kubeconfig?: string;
  metricsServer: { host?: string; port: number };
  /** Where API servers ask about policies; absent: nowhere. */
  webhookServer?: { host?: string; port: number };
  webhookNames: WebhookNames;
  logLevel: (typeof LOG_LEVELS)[number];
  logFormat: (typeof LOG_FORMATS)[number];
  /** Address of the API server inside a cluster. */
  inCluster?: { host: string; port: string };
  /** Shown on Events. */
  instance: string;
  patience: Patience;
  tolerance: Tolerance;
}

/** The webhook's objects, as they are named in this installation. */
export interface WebhookNames {
  /** Of the Service through which API servers reach the operator. */
  service: string;
  /** Of the ValidatingWebhookConfiguration. */
  configuration: string;
}

/** What the command line asks for. */
export type Command = { kind: "run"; config: Config } | { kind: "help" } | { kind: "error"; message: string };

/** Printed by --help. */
export const USAGE = `trigon operator: compiles policies, distributes hook specs to the agents, reports what runs

  --namespace NAME         where agents and hook specs are (POD_NAMESPACE, else ${DEFAULT_NAMESPACE})
  --kubeconfig FILE        how to reach the API server (KUBECONFIG, else the Pod's service account)
  --metrics-server ADDR    HOST:PORT or :PORT of /metrics, /healthz and /readyz (:2113)
  --webhook-server ADDR    HOST:PORT or :PORT of the admission webhook (off)
  --tolerate-absent NODES  how many nodes may be not ready or without a running agent while a policy is Ready:
                           a number or a percentage, which is rounded up (5%)
  --restart-grace SECONDS  how long a restarting agent counts as it did before (30)
  --log-level LEVEL        error, warn, info or debug (info)
  --log-format FORMAT      text or json (text)
  --help
`;

const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;
const LOG_FORMATS = ["text", "json"] as const;

/** Every flag of the operator. */
export const OPTIONS = {
  namespace: { type: "string" },
  kubeconfig: { type: "string" },
  "metrics-server": { type: "string", default: ":2113" },
  "webhook-server": { type: "string" },
  "tolerate-absent": { type: "string", default: "5%" },
  "restart-grace": { type: "string", default: "30" },
  "log-level": { type: "string", default: "info" },
  "log-format": { type: "string", default: "text" },
  help: { type: "boolean", default: false },
} as const;

type Environment = Record<string, string | undefined>;

/** Never throws: a wrong flag or value is an answer that names it. */
export function parseCommand(argv: readonly string[], env: Environment, hostname: string): Command {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: OPTIONS,
      strict: true,
      allowPositionals: false,
    });
    if (values.help) return { kind: "help" };
    const kubeconfig = values.kubeconfig ?? (env.KUBECONFIG || undefined);
    const inCluster = inClusterAddress(env);
    const webhook = values["webhook-server"];
    if (kubeconfig === undefined && inCluster === undefined) {
      throw new Error(
        "--kubeconfig: no kubeconfig is given and this is no Pod (KUBERNETES_SERVICE_HOST is not set)",
      );
    }
    return {
      kind: "run",
      config: {
        namespace: values.namespace ?? (env.POD_NAMESPACE || DEFAULT_NAMESPACE),
        ...(kubeconfig !== undefined && { kubeconfig }),
        metricsServer: parseAddress("metrics-server", values["metrics-server"]),
        ...(webhook !== undefined && { webhookServer: parseAddress("webhook-server", webhook) }),
        webhookNames: webhookNames(env.POD_SERVICE_ACCOUNT),
        logLevel: oneOf(LOG_LEVELS, "log-level", values["log-level"]),
        logFormat: oneOf(LOG_FORMATS, "log-format", values["log-format"]),
        ...(inCluster !== undefined && { inCluster }),
        instance: env.POD_NAME || hostname,
        patience: { ...DEFAULT_PATIENCE, restartMs: parseSeconds("restart-grace", values["restart-grace"]) },
        tolerance: parseAbsent(values["tolerate-absent"]),
      },
    };
  } catch (error) {
    return { kind: "error", message: (error as Error).message };
  }
}

function inClusterAddress(env: Environment): Config["inCluster"] {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  return host && port ? { host, port } : undefined;
}

const ACCOUNT = "trigon-operator";

/** An overlay gives all names the same prefix and suffix: those of the service account are known. */
function webhookNames(account = ACCOUNT): WebhookNames {
  const at = account.indexOf(ACCOUNT);
  const rename = (name: string) =>
    at < 0 ? name : `${account.slice(0, at)}${name}${account.slice(at + ACCOUNT.length)}`;
  return { service: rename("trigon-operator"), configuration: rename("trigon-policies") };
}

function parseAddress(name: string, text: string): Config["metricsServer"] {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) {
    throw new Error(`--${name}: "${text}" is not HOST:PORT or :PORT, for example 127.0.0.1:2113`);
  }
  const host = bracketed ?? plain;
  return host ? { host, port } : { port };
}

function parseAbsent(text: string): Tolerance {
  const tolerance = parseTolerance(text);
  if (tolerance === undefined)
    throw new Error(
      `--tolerate-absent: "${text}" is no number of nodes and no percentage, for example 3 or 5%`,
    );
  return tolerance;
}

function parseSeconds(name: string, text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new Error(`--${name}: "${text}" is no whole number of seconds`);
  return Number(text) * 1_000;
}

function oneOf<T extends string>(allowed: readonly T[], name: string, text: string): T {
  const found = allowed.find((value) => value === text);
  if (found === undefined) throw new Error(`--${name}: "${text}" is not one of ${allowed.join(", ")}`);
  return found;
}
