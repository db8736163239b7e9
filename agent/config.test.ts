import { describe, expect, test } from "vitest";
import { type Command, type Config, parseCommand } from "./config.ts";
import { helpText, OPTIONS } from "./options.ts";

function parse(argv: string[], env: Record<string, string> = {}): Command {
  return parseCommand(argv, env, "myhost");
}

function config(argv: string[], env: Record<string, string> = {}): Config {
  const command = parse(argv, env);
  if (command.kind !== "run") throw new Error(JSON.stringify(command));
  return command.config;
}

const accepted: Record<string, { argv?: string[]; env?: Record<string, string>; want: Partial<Config> }> = {
  "without flags everything has a default": {
    want: {
      policyFiles: [],
      server: { address: { path: "/var/run/tetragon/tetragon.sock" }, isRequired: false },
      policyStateDir: "/var/lib/trigon/policies",
      procfs: "/proc",
      nodeName: "myhost",
      kubernetes: false,
      namespace: "trigon-system",
      logLevel: "info",
      logFormat: "text",
      enableProcessCred: false,
      enableProcessNs: false,
      enableProcessSecurityLabel: false,
      processCredentialsView: "exec",
      credentialChangeDetail: "changed",
      exposeStackAddresses: false,
      metricLabels: ["namespace", "workload", "pod", "binary"],
    },
  },
  "a policy file may be given more than once, in order": {
    argv: ["--tracing-policy", "b.yaml", "--tracing-policy=a.yaml"],
    want: { policyFiles: ["b.yaml", "a.yaml"] },
  },
  "a port alone listens on every address": {
    argv: ["--metrics-server", ":2112"],
    want: { metricsServer: { port: 2112 } },
  },
  "an address with a port": {
    argv: ["--metrics-server", "127.0.0.1:2112"],
    want: { metricsServer: { host: "127.0.0.1", port: 2112 } },
  },
  "an IPv6 address stands in brackets": {
    argv: ["--metrics-server", "[::1]:2112"],
    want: { metricsServer: { host: "::1", port: 2112 } },
  },
  "gRPC on a UNIX socket that is asked for": {
    argv: ["--server-address", "unix:///tmp/a.sock"],
    want: { server: { address: { path: "/tmp/a.sock" }, isRequired: true } },
  },
  "gRPC without TLS on loopback": {
    argv: ["--server-address=[::1]:54321"],
    want: { server: { address: { host: "::1", port: 54321 }, isRequired: true } },
  },
  "gRPC without TLS for everybody, if that is meant": {
    argv: ["--server-address=:54321", "--server-allow-plaintext"],
    want: { server: { address: { port: 54321 }, isRequired: true } },
  },
  "gRPC with TLS and certificates of clients": {
    argv: ["--server-address=:54321", "--server-tls-cert-file=c", "--server-tls-key-file=k"],
    env: { TRIGON_SERVER_TLS_CLIENT_CA_FILES: "a,b" },
    want: {
      server: {
        address: { port: 54321 },
        isRequired: true,
        tls: { cert: "c", key: "k", clientCa: ["a", "b"] },
      },
    },
  },
  "NODE_NAME beats the host name": { env: { NODE_NAME: "n1" }, want: { nodeName: "n1" } },
  "HUBBLE_NODE_NAME beats NODE_NAME": {
    env: { NODE_NAME: "n1", HUBBLE_NODE_NAME: "n2" },
    want: { nodeName: "n2" },
  },
  "--node-name beats the environment": {
    argv: ["--node-name", "n3"],
    env: { HUBBLE_NODE_NAME: "n2" },
    want: { nodeName: "n3" },
  },
  "POD_NAMESPACE is the default of --namespace": {
    env: { POD_NAMESPACE: "here" },
    want: { namespace: "here" },
  },
  "every flag has a variable": {
    env: { TRIGON_LOG_LEVEL: "debug", TRIGON_TRACING_POLICY: "a.yaml,b.yaml", TRIGON_KUBERNETES: "true" },
    want: { logLevel: "debug", policyFiles: ["a.yaml", "b.yaml"], kubernetes: true },
  },
  "a flag beats its variable": {
    argv: ["--log-level", "warn", "--kubernetes=false"],
    env: { TRIGON_LOG_LEVEL: "debug", TRIGON_KUBERNETES: "true" },
    want: { logLevel: "warn", kubernetes: false },
  },
  "metrics may have fewer labels": {
    argv: ["--metrics-label-filter", "namespace, workload"],
    want: { metricLabels: ["namespace", "workload"] },
  },
  "a boolean flag may carry its value": {
    argv: ["--enable-process-cred=true"],
    want: { enableProcessCred: true },
  },
  "credentials may be shown as they are now": {
    argv: ["--process-credentials-view", "current"],
    want: { processCredentialsView: "current" },
  },
  "changes of credentials may come with the whole old and new ones": {
    argv: ["--credential-change-detail=full"],
    want: { credentialChangeDetail: "full" },
  },
  "labels and addresses are shown when asked for": {
    argv: ["--enable-process-security-label", "--expose-stack-addresses"],
    want: { enableProcessSecurityLabel: true, exposeStackAddresses: true },
  },
  "a ring size takes a suffix": { argv: ["--rb-size", "2m"], want: { ringBytes: 2 << 20 } },
};

test.each(Object.entries(accepted))("%s", (_name, { argv, env, want }) => {
  expect(config(argv ?? [], env)).toMatchObject(want);
});

test("what is empty or zero is not given", () => {
  const got = config([
    "--metrics-server",
    "",
    "--export-filename=",
    "--tracing-policy-dir",
    "",
    "--tracing-policy=",
    "--rb-size=0",
  ]);
  expect(got.policyFiles).toEqual([]);
  expect(got).not.toHaveProperty("metricsServer");
  expect(got).not.toHaveProperty("exportFilename");
  expect(got).not.toHaveProperty("policyDir");
  expect(got).not.toHaveProperty("ringBytes");
});

const refused: Record<string, { argv?: string[]; env?: Record<string, string>; says: RegExp }> = {
  "an unknown flag is named": { argv: ["--tracing-polcy", "x"], says: /--tracing-polcy/ },
  "a positional argument is named": { argv: ["policy.yaml"], says: /policy\.yaml/ },
  "a flag without its value": { argv: ["--procfs"], says: /--procfs/ },
  "an unknown log level lists the known ones": {
    argv: ["--log-level", "loud"],
    says: /"loud".*error, warn, info, debug/,
  },
  "an unknown view of credentials lists the known ones": {
    argv: ["--process-credentials-view", "fork"],
    says: /"fork".*exec, current/,
  },
  "an unknown detail of changes lists the known ones": {
    argv: ["--credential-change-detail", "all"],
    says: /"all".*changed, full/,
  },
  "environment variables of processes are not collected": {
    argv: ["--enable-process-environment-variables"],
    says: /--enable-process-environment-variables/,
  },
  "an address of the gRPC server that is none": {
    argv: ["--server-address", "here"],
    says: /--server-address: "here" is not unix:\/\/\/PATH, HOST:PORT or none/,
  },
  "gRPC without TLS for everybody": {
    argv: ["--server-address", "0.0.0.0:54321"],
    says: /can be reached from other machines and needs --server-tls-cert-file .* or --server-allow-plaintext/,
  },
  "a certificate without its key": {
    argv: ["--server-tls-cert-file", "c"],
    says: /--server-tls-cert-file: needs --server-tls-key-file/,
  },
  "an address without a port": {
    argv: ["--metrics-server", "localhost"],
    says: /"localhost" is not HOST:PORT/,
  },
  "a port that does not exist": { argv: ["--metrics-server", ":70000"], says: /70000/ },
  "a ring size that is no power of two": { argv: ["--rb-size", "100k"], says: /power of two/ },
  "a ring size that is no number": { argv: ["--rb-size", "big"], says: /"big"/ },
  "a boolean with another value": { argv: ["--kubernetes=perhaps"], says: /--kubernetes: "perhaps"/ },
  "a variable is named where it gave the value": {
    env: { TRIGON_LOG_LEVEL: "loud" },
    says: /^TRIGON_LOG_LEVEL: "loud" is not one of/,
  },
  "a metric label that there is not": {
    argv: ["--metrics-label-filter", "namespace,node"],
    says: /^--metrics-label-filter: "node" is not one of namespace, workload, pod, binary/,
  },
  "a variable that gave a size": { env: { TRIGON_RB_SIZE: "100k" }, says: /^TRIGON_RB_SIZE: "100k"/ },
  "a variable that gave an address": {
    env: { TRIGON_METRICS_SERVER: "localhost" },
    says: /^TRIGON_METRICS_SERVER: "localhost"/,
  },
  "the flag is named where it beats its variable": {
    argv: ["--log-level=silent"],
    env: { TRIGON_LOG_LEVEL: "debug" },
    says: /^--log-level: "silent"/,
  },
  "a boolean variable with another value": {
    env: { TRIGON_KUBERNETES: "yes" },
    says: /TRIGON_KUBERNETES: "yes"/,
  },
};

test.each(Object.entries(refused))("refused: %s", (_name, { argv, env, says }) => {
  const command = parse(argv ?? [], env);
  expect(command).toMatchObject({ kind: "error", message: expect.stringMatching(says) });
});

describe("help", () => {
  test("is asked for by --help, version by --version", () => {
    expect(parse(["--help"])).toEqual({ kind: "help" });
    expect(parse(["--version"])).toEqual({ kind: "version" });
  });

  test.each(Object.keys(OPTIONS))("explains --%s", (name) => {
    expect(helpText()).toContain(`--${name}`);
  });
});
