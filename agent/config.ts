/** Flags and environment, read once into a typed Config. */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { DEFAULT_NAMESPACE } from "../crds/names.ts";
import { isLocal, parseServerAddress, type ServerAddress } from "./api/address.ts";
import type { TlsFiles } from "./api/tls.ts";
import { PROCESS_LABELS } from "./metrics/series.ts";
import { environmentName, OPTIONS, type Option, type OptionName } from "./options.ts";

/** Everything that the agent can be told. */
export interface Config {
  policyFiles: string[];
  policyDir?: string;
  /** Absent: standard output. */
  exportFilename?: string;
  /** Absent: no server. */
  metricsServer?: ListenAddress;
  /** Absent: no gRPC. */
  server?: ServerConfig;
  /** Where policies that are added over gRPC are kept. */
  policyStateDir: string;
  procfs: string;
  nodeName: string;
  kubernetes: boolean;
  kubeconfig?: string;
  namespace: string;
  bpfObject: string;
  logLevel: (typeof LOG_LEVELS)[number];
  logFormat: (typeof LOG_FORMATS)[number];
  enableProcessCred: boolean;
  enableProcessNs: boolean;
  enableProcessSecurityLabel: boolean;
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

/** What the command line asks for. */
export type Command =
  | { kind: "run"; config: Config }
  | { kind: "help" }
  | { kind: "version" }
  | { kind: "error"; message: string };

const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;
const LOG_FORMATS = ["text", "json"] as const;
const CREDENTIALS_VIEWS = ["exec", "current"] as const;
const CREDENTIAL_CHANGE_DETAILS = ["changed", "full"] as const;
const MIN_RING_BYTES = 64 << 10;
const MAX_RING_BYTES = 1 << 30;

class UsageError extends Error {}

type Environment = Record<string, string | undefined>;
type Values = { [name in OptionName]?: string | boolean | string[] };

/** Never throws: a wrong flag or value is an answer that names it. */
export function parseCommand(argv: readonly string[], env: Environment, hostname: string): Command {
  try {
    const values = readValues(argv, env);
    if (values.help === true) return { kind: "help" };
    if (values.version === true) return { kind: "version" };
    return { kind: "run", config: makeConfig(values, (name) => subjectOf(name, argv), env, hostname) };
  } catch (error) {
    if (error instanceof UsageError) return { kind: "error", message: error.message };
    throw error;
  }
}

/** How an error names an option: by its flag, or by the variable that gave its value. */
type Subject = (name: OptionName) => string;

function subjectOf(name: OptionName, argv: readonly string[]): string {
  const flag = `--${name}`;
  const isFlag = argv.some((argument) => argument === flag || argument.startsWith(`${flag}=`));
  return isFlag ? flag : environmentName(name);
}

function makeConfig(values: Values, subject: Subject, env: Environment, hostname: string): Config {
  const text = (name: OptionName) => nonEmpty(values[name] as string | undefined);
  const policyDir = text("tracing-policy-dir");
  const exportFilename = text("export-filename");
  const metricsServer = text("metrics-server");
  const kubeconfig = text("kubeconfig");
  const server = makeServer(values, subject);
  const ringSize = text("rb-size");
  return {
    policyFiles: ((values["tracing-policy"] as string[] | undefined) ?? []).filter((file) => file !== ""),
    ...(policyDir !== undefined && { policyDir }),
    ...(exportFilename !== undefined && { exportFilename }),
    ...(metricsServer !== undefined && {
      metricsServer: parseListenAddress(subject("metrics-server"), metricsServer),
    }),
    ...(server && { server }),
    policyStateDir: text("policy-state-dir") ?? "/var/lib/trigon/policies",
    procfs: text("procfs") ?? "/proc",
    nodeName: text("node-name") ?? nonEmpty(env.HUBBLE_NODE_NAME) ?? nonEmpty(env.NODE_NAME) ?? hostname,
    kubernetes: values.kubernetes === true,
    ...(kubeconfig !== undefined && { kubeconfig }),
    namespace: text("namespace") ?? nonEmpty(env.POD_NAMESPACE) ?? DEFAULT_NAMESPACE,
    bpfObject: text("bpf-object") ?? fileURLToPath(new URL("../build/bpf/trigon.bpf.o", import.meta.url)),
    logLevel: oneOf(LOG_LEVELS, subject("log-level"), text("log-level") ?? "info"),
    logFormat: oneOf(LOG_FORMATS, subject("log-format"), text("log-format") ?? "text"),
    enableProcessCred: values["enable-process-cred"] === true,
    enableProcessNs: values["enable-process-ns"] === true,
    enableProcessSecurityLabel: values["enable-process-security-label"] === true,
    processCredentialsView: oneOf(
      CREDENTIALS_VIEWS,
      subject("process-credentials-view"),
      text("process-credentials-view") ?? "exec",
    ),
    credentialChangeDetail: oneOf(
      CREDENTIAL_CHANGE_DETAILS,
      "credential-change-detail",
      text("credential-change-detail") ?? "changed",
    ),
    exposeStackAddresses: values["expose-stack-addresses"] === true,
    metricLabels: parseLabels(subject("metrics-label-filter"), text("metrics-label-filter")),
    ...(ringSize !== undefined &&
      ringSize !== "0" && { ringBytes: parseRingSize(subject("rb-size"), ringSize) }),
  };
}

const DEFAULT_SERVER_ADDRESS = "unix:///var/run/tetragon/tetragon.sock";

/** Without TLS, TCP is for this machine only, unless a flag says otherwise. */
function makeServer(values: Values, subject: Subject): ServerConfig | undefined {
  const asked = nonEmpty(values["server-address"] as string | undefined);
  const text = asked ?? DEFAULT_SERVER_ADDRESS;
  const tls = makeTls(values);
  if (text === "none") return undefined;
  const address = parseServerAddress(text);
  if (!address) {
    const example = "unix:///PATH, HOST:PORT or none, for example localhost:54321";
    throw new UsageError(`${subject("server-address")}: "${text}" is not ${example}`);
  }
  if (!tls && !isLocal(address) && values["server-allow-plaintext"] !== true) {
    const remedies = "--server-tls-cert-file and --server-tls-key-file, or --server-allow-plaintext";
    throw new UsageError(
      `${subject("server-address")}: ${text} can be reached from other machines and needs ${remedies}`,
    );
  }
  return { address, isRequired: asked !== undefined, ...(tls && { tls }) };
}

function makeTls(values: Values): TlsFiles | undefined {
  const cert = nonEmpty(values["server-tls-cert-file"] as string | undefined);
  const key = nonEmpty(values["server-tls-key-file"] as string | undefined);
  const clientCa = values["server-tls-client-ca-files"] as string[] | undefined;
  if ((cert === undefined) !== (key === undefined) || (clientCa && cert === undefined)) {
    throw new UsageError("--server-tls-cert-file: needs --server-tls-key-file, and the other way round");
  }
  return cert === undefined || key === undefined ? undefined : { cert, key, ...(clientCa && { clientCa }) };
}

/** The environment first, then the flags over it. */
function readValues(argv: readonly string[], env: Environment): Values {
  return { ...environmentValues(env), ...flagValues(argv) };
}

function flagValues(argv: readonly string[]): Values {
  const { booleans, rest } = takeBooleanAssignments(argv);
  try {
    const { values } = parseArgs({ args: rest, options: OPTIONS, strict: true, allowPositionals: false });
    return { ...values, ...booleans } as Values;
  } catch (error) {
    throw new UsageError(`${firstSentence(error)}; see --help`);
  }
}

/** `--kubernetes=false` and `=true`, as Tetragon's flags may be written; parseArgs knows the bare form only. */
function takeBooleanAssignments(argv: readonly string[]): { booleans: Values; rest: string[] } {
  const booleans: Values = {};
  const rest: string[] = [];
  for (const argument of argv) {
    const [, name, value] = /^--([a-z-]+)=(.*)$/.exec(argument) ?? [];
    if (name !== undefined && value !== undefined && isOption(name) && OPTIONS[name].type === "boolean") {
      booleans[name] = parseBoolean(`--${name}`, value);
    } else {
      rest.push(argument);
    }
  }
  return { booleans, rest };
}

function environmentValues(env: Environment): Values {
  const values: Values = {};
  for (const [name, option] of Object.entries(OPTIONS) as [OptionName, Option][]) {
    if (name === "help" || name === "version") continue;
    const variable = environmentName(name);
    const text = nonEmpty(env[variable]);
    if (text === undefined) continue;
    if (option.type === "boolean") values[name] = parseBoolean(variable, text);
    else values[name] = option.multiple ? text.split(",").filter((part) => part !== "") : text;
  }
  return values;
}

function isOption(name: string): name is OptionName {
  return Object.hasOwn(OPTIONS, name);
}

function parseBoolean(subject: string, text: string): boolean {
  if (text === "true" || text === "1") return true;
  if (text === "false" || text === "0") return false;
  throw new UsageError(`${subject}: "${text}" is neither true nor false`);
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
  const names = text.split(",").map((name) => name.trim());
  for (const name of names) oneOf(PROCESS_LABELS, subject, name);
  return names;
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

/** parseArgs explains how to escape positionals; what is wrong stands in its first sentence. */
function firstSentence(error: unknown): string {
  return (error as Error).message.split(". ")[0] ?? "wrong flags";
}
