/** Settings from flags, environment and files, read into a typed Config. */
import { fileURLToPath } from "node:url";
import { DEFAULT_NAMESPACE } from "../crds/names.ts";
import { isLocal, parseServerAddress, type ServerAddress } from "./api/address.ts";
import type { TlsFiles } from "./api/tls.ts";
import { type ExportConfig, makeExportConfig, makeRedactionFilters, parseDuration } from "./export-config.ts";
import type { EventType } from "./metrics/event-metrics.ts";
import { PROCESS_LABELS } from "./metrics/series.ts";
import type { OptionName } from "./options.ts";
import type { RedactionFilter } from "./process/redaction.ts";
import { type Environment, type SettingSources, Settings, UsageError } from "./settings.ts";

/** Everything that the agent can be told. */
export interface Config {
  policyFiles: string[];
  policyDir?: string;
  export: ExportConfig;
  /** What is hidden in arguments of processes, wherever they are shown. */
  redaction: readonly RedactionFilter[];
  clusterName?: string;
  enableNodeLabels: boolean;
  enablePodAnnotations: boolean;
  /** Absent: no server. */
  metricsServer?: ListenAddress;
  /** Absent: no gRPC. */
  server?: ServerConfig;
  healthServer: HealthServerConfig;
  /** Where policies that are added over gRPC are kept. */
  policyStateDir: string;
  procfs?: string;
  nodeName: string;
  kubernetes: boolean;
  kubeconfig?: string;
  namespace: string;
  bpfObject: string;
  logLevel: (typeof LOG_LEVELS)[number];
  logFormat: (typeof LOG_FORMATS)[number];
  credentialDrift: boolean;
  enableProcessCred: boolean;
  enableProcessNs: boolean;
  enableProcessSecurityLabel: boolean;
  /** Types of events that list ancestors. */
  ancestors: readonly EventType[];
  usernames: (typeof USERNAME_SOURCES)[number];
  processCredentialsView: (typeof CREDENTIALS_VIEWS)[number];
  credentialChangeDetail: (typeof CREDENTIAL_CHANGE_DETAILS)[number];
  exposeStackAddresses: boolean;
  /** Labels of processes that metrics have. */
  metricLabels: readonly string[];
  /** Absent: the engine chooses by the number of CPUs. */
  ringBytes?: number;
}

/** Where a server listens; no host means every address. */
export interface ListenAddress {
  host?: string;
  port: number;
}

/** How gRPC is served. */
export interface ServerConfig {
  address: ServerAddress;
  /** Whether the agent is of no use without it: the address was asked for. */
  isRequired: boolean;
  tls?: TlsFiles;
}

/** How the health service of gRPC is served: without TLS, as it has no event and takes no order. */
export interface HealthServerConfig {
  /** Absent: not on an address of its own. */
  address?: ServerAddress;
  /** Whether the address was asked for. */
  isRequired: boolean;
  intervalMs: number;
}

/** What the command line asks for. */
export type Command =
  | { kind: "run"; config: Config; settings: Settings }
  | { kind: "help" }
  | { kind: "version" }
  | { kind: "error"; message: string };

const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;
const LOG_FORMATS = ["text", "json"] as const;
const USERNAME_SOURCES = ["disabled", "unix"] as const;
/** Tetragon's names; the last two are of events that do not exist here. */
const ANCESTOR_EVENTS: Readonly<Record<string, readonly EventType[]>> = {
  base: ["PROCESS_EXEC", "PROCESS_EXIT"],
  kprobe: ["PROCESS_KPROBE"],
  tracepoint: ["PROCESS_TRACEPOINT"],
  lsm: ["PROCESS_LSM"],
  uprobe: [],
  usdt: [],
};
const CREDENTIALS_VIEWS = ["exec", "current"] as const;
const CREDENTIAL_CHANGE_DETAILS = ["changed", "full"] as const;
const MIN_RING_BYTES = 64 << 10;
const MAX_RING_BYTES = 1 << 30;

/** Never rejects: a wrong value is an answer that names the flag, variable or file that it comes from. */
export async function parseCommand(sources: SettingSources, hostname: string): Promise<Command> {
  try {
    const settings = new Settings(sources);
    if (settings.isOn("help")) return { kind: "help" };
    if (settings.isOn("version")) return { kind: "version" };
    const config = await makeConfig(settings, sources.env, hostname);
    return { kind: "run", config, settings };
  } catch (error) {
    if (error instanceof UsageError) return { kind: "error", message: error.message };
    throw error;
  }
}

async function makeConfig(settings: Settings, env: Environment, hostname: string): Promise<Config> {
  const text = (name: OptionName) => settings.text(name);
  const subject = (name: OptionName) => settings.origin(name);
  const isOn = (name: OptionName) => settings.isOn(name);
  const policyDir = text("tracing-policy-dir");
  const clusterName = text("cluster-name");
  const metricsServer = text("metrics-server");
  const kubeconfig = text("kubeconfig");
  const server = makeServer(settings);
  const ringSize = text("rb-size");
  const procfs = text("procfs");
  return {
    policyFiles: settings.list("tracing-policy") ?? [],
    ...(policyDir !== undefined && { policyDir }),
    export: await makeExportConfig(settings),
    redaction: await makeRedactionFilters(settings),
    ...(clusterName !== undefined && { clusterName }),
    enableNodeLabels: isOn("enable-node-labels"),
    enablePodAnnotations: isOn("enable-pod-annotations"),
    ...(metricsServer !== undefined && {
      metricsServer: parseListenAddress(subject("metrics-server"), metricsServer),
    }),
    ...(server && { server }),
    healthServer: makeHealthServer(settings),
    policyStateDir: text("policy-state-dir") ?? "/var/lib/trigon/policies",
    ...(procfs !== undefined && { procfs }),
    nodeName: text("node-name") ?? nonEmpty(env.HUBBLE_NODE_NAME) ?? nonEmpty(env.NODE_NAME) ?? hostname,
    kubernetes: isOn("kubernetes"),
    ...(kubeconfig !== undefined && { kubeconfig }),
    namespace: text("namespace") ?? nonEmpty(env.POD_NAMESPACE) ?? DEFAULT_NAMESPACE,
    bpfObject: text("bpf-object") ?? fileURLToPath(import.meta.resolve("#project/build/bpf/trigon.bpf.o")),
    logLevel: oneOf(LOG_LEVELS, subject("log-level"), text("log-level") ?? "info"),
    logFormat: oneOf(LOG_FORMATS, subject("log-format"), text("log-format") ?? "text"),
    credentialDrift: isOn("credential-drift"),
    enableProcessCred: isOn("enable-process-cred"),
    enableProcessNs: isOn("enable-process-ns"),
    enableProcessSecurityLabel: isOn("enable-process-security-label"),
    ancestors: parseAncestors(subject("enable-ancestors"), settings.list("enable-ancestors") ?? []),
    usernames: oneOf(USERNAME_SOURCES, subject("username-metadata"), text("username-metadata") ?? "disabled"),
    processCredentialsView: oneOf(
      CREDENTIALS_VIEWS,
      subject("process-credentials-view"),
      text("process-credentials-view") ?? "exec",
    ),
    credentialChangeDetail: oneOf(
      CREDENTIAL_CHANGE_DETAILS,
      subject("credential-change-detail"),
      text("credential-change-detail") ?? "changed",
    ),
    exposeStackAddresses: isOn("expose-stack-addresses"),
    metricLabels: parseLabels(subject("metrics-label-filter"), text("metrics-label-filter")),
    ...(ringSize !== undefined &&
      ringSize !== "0" && { ringBytes: parseRingSize(subject("rb-size"), ringSize) }),
  };
}

const DEFAULT_SERVER_ADDRESS = "unix:///var/run/tetragon/tetragon.sock";

/** Without TLS, TCP is for this machine only, unless a flag says otherwise. */
function makeServer(settings: Settings): ServerConfig | undefined {
  const asked = settings.text("server-address");
  const text = asked ?? DEFAULT_SERVER_ADDRESS;
  const tls = makeTls(settings);
  if (text === "none") return undefined;
  const address = parseAddress(settings, "server-address", text, "localhost:54321");
  if (!tls && !isLocal(address) && !settings.isOn("server-allow-plaintext")) {
    const remedies = "--server-tls-cert-file and --server-tls-key-file, or --server-allow-plaintext";
    throw new UsageError(
      `${settings.origin("server-address")}: ${text} can be reached from other machines and needs ${remedies}`,
    );
  }
  return { address, isRequired: asked !== undefined, ...(tls && { tls }) };
}

function parseAddress(settings: Settings, name: OptionName, text: string, example: string): ServerAddress {
  const address = parseServerAddress(text);
  if (address) return address;
  const forms = `unix:///PATH, HOST:PORT or none, for example ${example}`;
  throw new UsageError(`${settings.origin(name)}: "${text}" is not ${forms}`);
}

const DEFAULT_HEALTH_ADDRESS = ":6789";
const DEFAULT_HEALTH_INTERVAL_MS = 10_000;
const HEALTH_INTERVAL_MS = { min: 1_000, max: 86_400_000 } as const;

function makeHealthServer(settings: Settings): HealthServerConfig {
  const asked = settings.text("health-server-address");
  const text = asked ?? DEFAULT_HEALTH_ADDRESS;
  const server = { isRequired: asked !== undefined, intervalMs: parseHealthInterval(settings) };
  if (text === "none") return server;
  return {
    address: parseAddress(settings, "health-server-address", text, DEFAULT_HEALTH_ADDRESS),
    ...server,
  };
}

/** Tetragon takes a number of seconds. */
function parseHealthInterval(settings: Settings): number {
  const name = "health-server-interval";
  const text = settings.text(name);
  if (text === undefined) return DEFAULT_HEALTH_INTERVAL_MS;
  const ms = /^\d{1,6}$/.test(text) ? Number(text) * 1_000 : parseDuration(settings, name);
  if (ms >= HEALTH_INTERVAL_MS.min && ms <= HEALTH_INTERVAL_MS.max) return ms;
  throw new UsageError(
    `${settings.origin(name)}: "${text}" is not between 1 (second) and 24h, for example 10`,
  );
}

function makeTls(settings: Settings): TlsFiles | undefined {
  const cert = settings.text("server-tls-cert-file");
  const key = settings.text("server-tls-key-file");
  const clientCa = settings.list("server-tls-client-ca-files");
  if ((cert === undefined) !== (key === undefined) || (clientCa && cert === undefined)) {
    throw new UsageError("--server-tls-cert-file: needs --server-tls-key-file, and the other way round");
  }
  return cert === undefined || key === undefined ? undefined : { cert, key, ...(clientCa && { clientCa }) };
}

function parseListenAddress(subject: string, text: string): ListenAddress {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) {
    throw new UsageError(`${subject}: "${text}" is not HOST:PORT or :PORT, for example 127.0.0.1:2112`);
  }
  const host = nonEmpty(bracketed) ?? nonEmpty(plain);
  return host === undefined ? { port } : { host, port };
}

function parseLabels(subject: string, text: string | undefined): readonly string[] {
  if (text === undefined) return PROCESS_LABELS;
  if (text === "none") return [];
  const names = text.split(",").map((name) => name.trim());
  for (const name of names) oneOf(PROCESS_LABELS, subject, name);
  return names;
}

function parseAncestors(subject: string, names: readonly string[]): readonly EventType[] {
  const known = Object.keys(ANCESTOR_EVENTS);
  const given = names.flatMap((name) => name.split(",")).map((name) => name.trim());
  return given.flatMap((name) => ANCESTOR_EVENTS[oneOf(known, subject, name)] ?? []);
}

function parseRingSize(subject: string, text: string): number {
  const [, digits, unit] = /^(\d+)([km]?)$/i.exec(text) ?? [];
  const bytes =
    Number(digits) * { "": 1, k: 1 << 10, m: 1 << 20 }[(unit ?? "").toLowerCase() as "" | "k" | "m"];
  const powerOfTwo = Number.isInteger(Math.log2(bytes));
  if (!powerOfTwo || bytes < MIN_RING_BYTES || bytes > MAX_RING_BYTES) {
    throw new UsageError(
      `${subject}: "${text}" is not a power of two from 64k to 1024m (the kernel asks for one)`,
    );
  }
  return bytes;
}

function oneOf<T extends string>(allowed: readonly T[], subject: string, text: string): T {
  const found = allowed.find((value) => value === text);
  if (found === undefined) throw new UsageError(`${subject}: "${text}" is not one of ${allowed.join(", ")}`);
  return found;
}

/** An empty value means "not given", as in Tetragon's configuration files. */
function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
