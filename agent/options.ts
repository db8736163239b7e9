/** The agent's settings, in the order in which `--help` lists them; every source of values and the help are read from here. */

/** One setting. */
export interface Option {
  type: "string" | "boolean";
  /** May be given more than once; in a variable or a file separated by commas or line ends. */
  multiple?: true;
  /** SIGHUP applies a new value. */
  reload?: true;
  /** What stands for the value in the help text. */
  value?: string;
  help: string;
}

/** Every flag of the agent. */
export const OPTIONS = {
  "tracing-policy": {
    type: "string",
    multiple: true,
    value: "FILE",
    help: "Policy file to run from the start; repeatable. A file that does not compile ends the agent.",
  },
  "tracing-policy-dir": {
    type: "string",
    value: "DIR",
    help: "Run every *.yaml, *.yml and *.json of the directory, in the order of their names; changed files are edits. A file that cannot be used is reported, and what it gave before stays.",
  },
  "export-filename": {
    type: "string",
    value: "FILE",
    help: "Append events to this file, one JSON object per line; SIGHUP opens it again. Default: standard output.",
  },
  "export-file-max-size-mb": {
    type: "string",
    value: "MB",
    help: "Rotate the export file before it exceeds this; 0: size does not matter. Default: 10.",
  },
  "export-file-rotation-interval": {
    type: "string",
    value: "DURATION",
    help: "Rotate the export file with the first event after this age, for example 24h; 0: age does not matter. Default: 0.",
  },
  "export-file-max-backups": {
    type: "string",
    value: "COUNT",
    help: "Rotated files that are kept; 0: all. Default: 5.",
  },
  "export-file-compress": { type: "boolean", help: "Compress rotated files with gzip." },
  "export-file-perm": {
    type: "string",
    value: "MODE",
    help: "Mode of the export file and of what it is rotated to, in octal digits. Default: 600.",
  },
  "export-allowlist": {
    type: "string",
    reload: true,
    value: "FILTERS",
    help: "Export only events that one of these filters matches, one JSON object per line. Default: all events.",
  },
  "export-denylist": {
    type: "string",
    reload: true,
    value: "FILTERS",
    help: "Do not export events that one of these filters matches, one JSON object per line.",
  },
  "field-filters": {
    type: "string",
    reload: true,
    value: "FILTERS",
    help: "Include or exclude fields of exported events, one JSON object per line.",
  },
  "redaction-filters": {
    type: "string",
    value: "FILTERS",
    help: "Hide what groups of patterns match in arguments of processes, in all events, one JSON object per line.",
  },
  "export-rate-limit": {
    type: "string",
    reload: true,
    value: "COUNT",
    help: "Events that are exported per minute; what exceeds it is counted in the export and per policy. -1: no limit. Default: -1.",
  },
  "enable-node-labels": {
    type: "boolean",
    help: "Show the labels of the node in events; needs --kubernetes.",
  },
  "enable-pod-annotations": {
    type: "boolean",
    help: "Show the annotations of pods in events; needs --kubernetes.",
  },
  "cluster-name": { type: "string", value: "NAME", help: "Name of this cluster in events." },
  "metrics-server": {
    type: "string",
    value: "ADDR",
    help: "Serve /metrics, /healthz and /readyz here, for example :2112 or 127.0.0.1:2112. Default: off.",
  },
  "metrics-label-filter": {
    type: "string",
    value: "LABELS",
    help: "Labels of processes that metrics have, with commas between them, or none. Default: namespace,workload,pod,binary.",
  },
  "server-address": {
    type: "string",
    value: "ADDR",
    help: "Serve gRPC here: unix:///PATH, HOST:PORT or none. Default: unix:///var/run/tetragon/tetragon.sock.",
  },
  "server-tls-cert-file": {
    type: "string",
    value: "FILE",
    help: "Certificate of the gRPC server, for a TCP address; read again when it changes.",
  },
  "server-tls-key-file": { type: "string", value: "FILE", help: "Key of that certificate." },
  "server-tls-client-ca-files": {
    type: "string",
    multiple: true,
    value: "FILE",
    help: "Authorities of client certificates, which clients then need; repeatable.",
  },
  "server-allow-plaintext": {
    type: "boolean",
    help: "Serve gRPC without TLS on a TCP address that other machines can reach.",
  },
  "health-server-address": {
    type: "string",
    value: "ADDR",
    help: "Serve the health service of gRPC here, and nothing else: HOST:PORT, :PORT, unix:///PATH or none. Default: :6789.",
  },
  "health-server-interval": {
    type: "string",
    value: "SECONDS",
    help: "How often the health service looks at the agent, in seconds or as a duration. Default: 10.",
  },
  "policy-state-dir": {
    type: "string",
    value: "DIR",
    help: "Keep policies that clients add over gRPC here. Default: /var/lib/trigon/policies.",
  },
  procfs: {
    type: "string",
    value: "DIR",
    help: "Where the machine's procfs is mounted. Default: /proc or, if that is a container's, /run/trigon/proc.",
  },
  "node-name": {
    type: "string",
    value: "NAME",
    help: "Name of this node in events. Default: HUBBLE_NODE_NAME, NODE_NAME or the host name.",
  },
  kubernetes: {
    type: "boolean",
    help: "Take hook specs from the ConfigMaps of the operator, name pods, report in a TracingNode.",
  },
  kubeconfig: {
    type: "string",
    value: "FILE",
    help: "How to reach the API server. Default: the pod's service account.",
  },
  namespace: {
    type: "string",
    value: "NAME",
    help: "Namespace of the operator and its ConfigMaps. Default: POD_NAMESPACE or trigon-system.",
  },
  "bpf-object": {
    type: "string",
    value: "FILE",
    help: "The BPF object. Default: build/bpf/trigon.bpf.o of this installation.",
  },
  "log-level": {
    type: "string",
    reload: true,
    value: "LEVEL",
    help: "error, warn, info or debug. Default: info.",
  },
  "log-format": { type: "string", value: "FORMAT", help: "text or json, on standard error. Default: text." },
  "credential-drift": {
    type: "boolean",
    help: "Report tasks whose credentials are not those that the kernel gave them, at commits, forks, exits and hooks that read credentials.",
  },
  "enable-process-cred": { type: "boolean", help: "Show the credentials that a process had at exec." },
  "enable-process-ns": { type: "boolean", help: "Show the namespaces that a process had at exec." },
  "enable-ancestors": {
    type: "string",
    multiple: true,
    value: "EVENTS",
    help: "List the ancestors beyond the parent in these events: base (exec and exit), kprobe, tracepoint, lsm; commas between them.",
  },
  "username-metadata": {
    type: "string",
    value: "SOURCE",
    help: "unix: show the name of a process's uid, from /etc/passwd of its own root directory, where it is certain. Default: disabled.",
  },
  "enable-process-security-label": {
    type: "boolean",
    help: "Show in process_exec what AppArmor, SELinux or another security module calls the process.",
  },
  "process-credentials-view": {
    type: "string",
    value: "VIEW",
    help: "Which credentials a process shows: exec, those that it had at exec, or current. Default: exec.",
  },
  "credential-change-detail": {
    type: "string",
    value: "DETAIL",
    help: "What credential_change has: changed, the fields that changed, or full, all old and new ones too. Default: changed.",
  },
  "expose-stack-addresses": {
    type: "boolean",
    help: "Show kernel addresses in stack traces. They reveal to readers of events where the kernel is in memory.",
  },
  "rb-size": {
    type: "string",
    value: "BYTES",
    help: "Size of the ring buffer, a power of two from 64k; suffixes k and m. Default: 64k per CPU, at least 1m.",
  },
  "config-dir": {
    type: "string",
    value: "DIR",
    help: "Read settings from the files of this directory, as a mounted ConfigMap has them: the name is the flag's without dashes.",
  },
  help: { type: "boolean", help: "Show this text." },
  version: { type: "boolean", help: "Show the version." },
} as const satisfies Record<string, Option>;

/** Name of a flag without its dashes. */
export type OptionName = keyof typeof OPTIONS;

/** Where a setting may come from: the first of these that has a value wins, and an error names it. */
const SOURCES = [
  { name: "flag", example: "--log-level=debug" },
  { name: "environment variable", example: "TRIGON_LOG_LEVEL=debug" },
  { name: "file in --config-dir", example: "DIR/log-level, which contains debug" },
  { name: "default", example: "info" },
] as const;

/** Whether an option has a value for the whole run and so may come from any source; --config-dir from a flag or variable. */
export function isSetting(name: string): name is OptionName {
  return Object.hasOwn(OPTIONS, name) && !["help", "version", "config-dir"].includes(name);
}

/** Environment variable of an option. */
export function environmentName(option: string): string {
  return `TRIGON_${option.replaceAll("-", "_").toUpperCase()}`;
}

/** Text of `--help`. */
export function helpText(): string {
  const rows = Object.entries<Option>(OPTIONS).map(([name, option]) => {
    const flag = option.value === undefined ? `--${name}` : `--${name} ${option.value}`;
    return `  ${flag.padEnd(42)} ${option.help}`;
  });
  const reloaded = Object.entries<Option>(OPTIONS).filter(([, { reload }]) => reload);
  return [
    "Usage: node agent/main.ts [FLAGS]",
    "",
    "Attaches tracing policies on this machine and writes an event for each thing they observe.",
    "",
    ...rows,
    "",
    "Each setting can come from several places. The first of these that has a value wins:",
    "",
    ...SOURCES.map(({ name, example }, index) => `  ${index + 1}. ${name.padEnd(22)} ${example}`),
    "",
    `SIGHUP reads all of them again and applies ${reloaded.map(([name]) => name).join(", ")}.`,
    "",
    "Exit status: 0 after SIGTERM or SIGINT; 1 for a policy file that does not compile or attach, or an unexpected error;",
    "2 for wrong flags; 3 if this kernel or the agent's privileges do not allow tracing.",
    "",
  ].join("\n");
}
