import { describe, expect, test } from "vitest";
import { type Command, type Config, parseCommand } from "./config.ts";
import { helpText, OPTIONS } from "./options.ts";
import { planReload } from "./reload.ts";

interface Given {
  argv?: string[];
  env?: Record<string, string>;
  /** Files of the directory /etc/trigon. */
  files?: Record<string, string>;
}

function parse({ argv = [], env = {}, files }: Given): Promise<Command> {
  const readDirectory = (directory: string) => {
    if (!files || directory !== "/etc/trigon") throw new Error(`ENOENT: ${directory}`);
    return new Map(Object.entries(files));
  };
  return parseCommand({ argv, env, readDirectory }, "myhost");
}

async function config(given: Given): Promise<Config> {
  const command = await parse(given);
  if (command.kind !== "run") throw new Error(JSON.stringify(command));
  return command.config;
}

const accepted: Record<string, Given & { want: object }> = {
  "without flags everything has a default": {
    want: {
      policyFiles: [],
      server: { address: { path: "/var/run/tetragon/tetragon.sock" }, isRequired: false },
      healthServer: { address: { port: 6789 }, isRequired: false, intervalMs: 10_000 },
      policyStateDir: "/var/lib/trigon/policies",
      nodeName: "myhost",
      kubernetes: false,
      namespace: "trigon-system",
      logLevel: "info",
      logFormat: "text",
      credentialDrift: false,
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
  "the health service of gRPC on an address of its own, looking at the agent each minute": {
    argv: ["--health-server-address=127.0.0.1:6790", "--health-server-interval=1m"],
    want: {
      healthServer: { address: { host: "127.0.0.1", port: 6790 }, isRequired: true, intervalMs: 60_000 },
    },
  },
  "no health service on an address of its own": {
    argv: ["--health-server-address=none", "--health-server-interval=5"],
    want: { healthServer: { isRequired: true, intervalMs: 5_000 } },
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
  "metrics may have no labels of processes": {
    argv: ["--metrics-label-filter", "none"],
    want: { metricLabels: [] },
  },
  "a boolean flag may carry its value": {
    argv: ["--enable-process-cred=true"],
    want: { enableProcessCred: true },
  },
  "credentials may be shown as they are now": {
    argv: ["--process-credentials-view", "current"],
    want: { processCredentialsView: "current" },
  },
  "ancestors are asked for by Tetragon's names": {
    argv: ["--enable-ancestors=base,lsm", "--enable-ancestors", "kprobe"],
    want: { ancestors: ["PROCESS_EXEC", "PROCESS_EXIT", "PROCESS_LSM", "PROCESS_KPROBE"] },
  },
  "names of users are asked for by their source": {
    argv: ["--username-metadata=unix"],
    want: { usernames: "unix" },
  },
  "changes of credentials may come with the whole old and new ones": {
    argv: ["--credential-change-detail=full"],
    want: { credentialChangeDetail: "full" },
  },
  "labels and addresses are shown when asked for": {
    argv: ["--enable-process-security-label", "--expose-stack-addresses"],
    want: { enableProcessSecurityLabel: true, exposeStackAddresses: true },
  },
  "the export file is rotated as upstream does it": {
    want: {
      export: {
        mode: 0o600,
        rotation: { maxBytes: 10 << 20, intervalMs: 0, maxBackups: 5, compress: false },
        allow: [],
        deny: [],
        fields: [],
      },
    },
  },
  "rotation of the export file": {
    argv: ["--export-filename=e.log", "--export-file-max-size-mb=0", "--export-file-compress"],
    env: { TRIGON_EXPORT_FILE_ROTATION_INTERVAL: "1h30m", TRIGON_EXPORT_FILE_PERM: "0640" },
    want: {
      export: {
        filename: "e.log",
        mode: 0o640,
        rotation: { maxBytes: 0, intervalMs: 5_400_000, maxBackups: 5, compress: true },
      },
    },
  },
  "a directory has one setting per file": {
    argv: ["--config-dir=/etc/trigon"],
    files: {
      "log-level": "debug\n",
      kubernetes: "true",
      "tracing-policy": "a.yaml\rb.yaml\r\n",
      procfs: "\n",
    },
    want: { logLevel: "debug", kubernetes: true, policyFiles: ["a.yaml", "b.yaml"] },
  },
  "a variable beats a file, a flag both": {
    argv: ["--log-format=json"],
    env: { TRIGON_CONFIG_DIR: "/etc/trigon", TRIGON_LOG_LEVEL: "warn", TRIGON_LOG_FORMAT: "text" },
    files: { "log-level": "debug", "log-format": "text", namespace: "here" },
    want: { logLevel: "warn", logFormat: "json", namespace: "here" },
  },
  "filters are lines of JSON": {
    argv: ["--config-dir=/etc/trigon", "--export-rate-limit=0"],
    files: {
      "export-allowlist": '{"event_set":["PROCESS_EXEC"],"health_check":false}\n\n{"policyNames":["a"]}\n',
      "export-denylist": '{"namespace":["","kube-system"]}',
      "field-filters":
        '{"fields":"process.exec_id,process.startTime","event_set":["PROCESS_EXEC"],"action":"EXCLUDE"}',
    },
    want: {
      export: {
        allow: [{ event_set: ["PROCESS_EXEC"], health_check: false }, { policy_names: ["a"] }],
        deny: [{ namespace: ["", "kube-system"] }],
        fields: [
          { fields: "process.exec_id,process.start_time", event_set: ["PROCESS_EXEC"], action: "EXCLUDE" },
        ],
        rateLimit: 0,
      },
    },
  },
  "what is hidden in arguments": {
    env: { TRIGON_REDACTION_FILTERS: '{"binaryRegex":["curl$"],"redact":["-u (\\\\S+)"]}' },
    want: { redaction: [{ binary_regex: ["curl$"], redact: ["-u (\\S+)"] }] },
  },
  "a ring size takes a suffix": { argv: ["--rb-size", "2m"], want: { ringBytes: 2 << 20 } },
};

test.each(Object.entries(accepted))("%s", async (_name, { want, ...given }) => {
  expect(await config(given)).toMatchObject(want);
});

test("what is empty or zero is not given", async () => {
  const argv = [
    "--metrics-server",
    "",
    "--export-filename=",
    "--tracing-policy-dir",
    "",
    "--tracing-policy=",
    "--rb-size=0",
    "--export-allowlist=",
  ];
  const got = await config({ argv });
  expect(got.policyFiles).toEqual([]);
  expect(got).not.toHaveProperty("metricsServer");
  expect(got.export).not.toHaveProperty("filename");
  expect(got.export.allow).toEqual([]);
  expect(got).not.toHaveProperty("policyDir");
  expect(got).not.toHaveProperty("ringBytes");
});

const refused: Record<string, Given & { says: RegExp }> = {
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
  "an unknown kind of events with ancestors": {
    argv: ["--enable-ancestors=exec"],
    says: /^--enable-ancestors: "exec" is not one of base, kprobe/,
  },
  "an unknown source of user names": {
    argv: ["--username-metadata=ldap"],
    says: /^--username-metadata: "ldap" is not one of disabled, unix/,
  },
  "an unknown detail of changes lists the known ones": {
    argv: ["--credential-change-detail", "all"],
    says: /"all".*changed, full/,
  },
  "environment variables of processes are not collected": {
    argv: ["--enable-process-environment-variables"],
    says: /--enable-process-environment-variables/,
  },
  "an address of the health service that is none": {
    argv: ["--health-server-address", "6789"],
    says: /--health-server-address: "6789" is not unix:\/\/\/PATH, HOST:PORT or none, for example :6789/,
  },
  "a health service that looks at the agent without a pause": {
    argv: ["--health-server-interval", "0"],
    says: /--health-server-interval: "0" is not between 1 \(second\) and 24h, for example 10/,
  },
  "a health service that never looks at the agent": {
    argv: ["--health-server-interval", "1000h"],
    says: /--health-server-interval: "1000h" is not between 1 \(second\) and 24h/,
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
  "a file is named where it gave the value": {
    argv: ["--config-dir", "/etc/trigon"],
    files: { "log-level": "loud" },
    says: /^\/etc\/trigon\/log-level: "loud" is not one of/,
  },
  "a boolean file with another value": {
    argv: ["--config-dir", "/etc/trigon"],
    files: { kubernetes: "yes" },
    says: /^\/etc\/trigon\/kubernetes: "yes" is neither true nor false/,
  },
  "a directory that cannot be read": { argv: ["--config-dir", "/x"], says: /^--config-dir: ENOENT: \/x/ },
  "a directory from a variable that cannot be read": {
    env: { TRIGON_CONFIG_DIR: "/x" },
    says: /^TRIGON_CONFIG_DIR: ENOENT: \/x/,
  },
  "a filter that is not JSON": {
    argv: ["--export-allowlist", '{"pid":[1]}\n{pid}'],
    says: /^--export-allowlist: line 2: .*JSON/,
  },
  "a filter with an unknown field": {
    argv: ["--export-denylist", '{"colour":["red"]}'],
    says: /line 1: .*colour/,
  },
  "a filter with a value of another type": {
    argv: ["--export-denylist", '{"namespace":"kube-system"}'],
    says: /^--export-denylist: line 1: .*namespace/,
  },
  "a filter with a pattern that is none": {
    env: { TRIGON_EXPORT_ALLOWLIST: '{"pid":[1]}\n{"pod_regex":["("]}' },
    says: /^TRIGON_EXPORT_ALLOWLIST: filter 2: pod_regex\[0\]: "\(" is no RE2 pattern/,
  },
  "a field filter for a field that does not exist": {
    argv: ["--field-filters", '{"fields":"process.colour"}'],
    says: /^--field-filters: filter 1: fields: there is no field "process.colour"/,
  },
  "a redaction without a group": {
    argv: ["--redaction-filters", '{"redact":["(a)"]}\n{"redact":["secret"]}'],
    says: /^--redaction-filters: filter 2: redact\[0\]: "secret" has no group/,
  },
  "a mode that is none": {
    argv: ["--export-file-perm=rw-r-----"],
    says: /--export-file-perm: "rw-r-----" is not a mode/,
  },
  "a size that is no number": {
    argv: ["--export-file-max-size-mb=10m"],
    says: /"10m" is not a whole number/,
  },
  "a negative count": { argv: ["--export-file-max-backups=-1"], says: /"-1" is not a whole number/ },
  "an interval without a unit": {
    argv: ["--export-file-rotation-interval=10"],
    says: /"10" is not a duration/,
  },
  "a boolean variable with another value": {
    env: { TRIGON_KUBERNETES: "yes" },
    says: /TRIGON_KUBERNETES: "yes"/,
  },
};

test.each(Object.entries(refused))("refused: %s", async (_name, { says, ...given }) => {
  const command = await parse(given);
  expect(command).toMatchObject({ kind: "error", message: expect.stringMatching(says) });
});

test("a file that is no setting is passed over with a warning that names it", async () => {
  const command = await parse({ argv: ["--config-dir=/etc/trigon"], files: { "log-levl": "debug" } });
  expect(command).toMatchObject({
    kind: "run",
    config: { logLevel: "info" },
    settings: { warnings: ["/etc/trigon/log-levl: there is no such setting"] },
  });
});

describe("SIGHUP", () => {
  const run = async (given: Given) => {
    const command = await parse({ argv: ["--config-dir=/etc/trigon"], ...given });
    if (command.kind !== "run") throw new Error(JSON.stringify(command));
    return command.settings;
  };
  const plan = async (files: Record<string, string>) => {
    const before = await run({ files: { "log-level": "info", "rb-size": "1m" } });
    return planReload(before, await parse({ argv: ["--config-dir=/etc/trigon"], files }));
  };

  test("applies what can change", async () => {
    const files = { "log-level": "debug", "rb-size": "1m", "export-denylist": '{"pid":[1]}' };
    expect(await plan(files)).toMatchObject({
      kind: "apply",
      config: { logLevel: "debug", export: { deny: [{ pid: [1] }] } },
      needRestart: [],
    });
  });

  test("names what a restart is needed for", async () => {
    expect(await plan({ "log-level": "info", procfs: "/x" })).toMatchObject({
      kind: "apply",
      needRestart: ["rb-size", "procfs"],
    });
  });

  test("changes nothing where something is wrong", async () => {
    expect(await plan({ "log-level": "loud" })).toEqual({
      kind: "refuse",
      message: expect.stringMatching(/^\/etc\/trigon\/log-level: "loud"/),
    });
  });
});

describe("help", () => {
  test("is asked for by --help, version by --version", async () => {
    expect(await parse({ argv: ["--help"] })).toEqual({ kind: "help" });
    expect(await parse({ argv: ["--version"] })).toEqual({ kind: "version" });
  });

  test.each(Object.keys(OPTIONS))("explains --%s", (name) => {
    expect(helpText()).toContain(`--${name}`);
  });

  test("has the order in which sources of settings win", () => {
    const order = ["1. flag", "2. environment variable", "3. file in --config-dir", "4. default"];
    expect(helpText().match(/\d\. (flag|environment variable|file in --config-dir|default)/g)).toEqual(order);
  });
});
