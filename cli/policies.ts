/** `trigon policies`: the policies of one node, over the agent's socket. */
import { readFile } from "node:fs/promises";
import { isSeq, parseDocument } from "yaml";
import type { AgentClient } from "./client.ts";
import { alignColumns } from "./columns.ts";
import { EXIT, type Streams, UsageError } from "./streams.ts";

/** Which policy is meant. */
export interface PolicyChoice {
  namespace?: string;
  domain?: string;
}

/** A TracingPolicyStatus in its JSON form; zeros are left out. */
interface PolicyStatus {
  id?: string;
  name?: string;
  namespace?: string;
  sensors?: string[];
  filter_id?: string;
  error?: string;
  state?: string;
  kernel_memory_bytes?: string;
  mode?: string;
  count_only?: boolean;
  domain?: string;
  stats?: { action_counters?: Record<string, string> };
  hook_statuses?: { section?: string; state?: string; hook_description?: string; hook_idx?: number }[];
}

const COLUMNS =
  "ID NAME DOMAIN STATE FILTERID NAMESPACE SENSORS KERNELMEMORY MODE NPOST NENFORCE NMONITOR".split(" ");

/** Prints the policies: tetra's columns, and below them what is wrong. */
export async function listPolicies(
  client: AgentClient,
  { domain = "", output }: { domain?: string; output: "text" | "json" },
  { out }: Streams,
): Promise<number> {
  const answer = await client.call<{ policies?: PolicyStatus[] }>("ListTracingPolicies", { domain });
  if (output === "json") out(JSON.stringify(answer));
  else for (const line of policyTable(answer.policies ?? [])) out(line);
  return EXIT.ok;
}

function policyTable(policies: readonly PolicyStatus[]): string[] {
  const table = alignColumns([COLUMNS, ...policies.map(policyRow)]);
  return [...table, ...policies.flatMap(troubles)];
}

function policyRow(policy: PolicyStatus): string[] {
  const counters = policy.stats?.action_counters ?? {};
  return [
    policy.id ?? "0",
    policy.name ?? "",
    policy.domain ?? "",
    shortName(policy.state, "tp_state_"),
    policy.filter_id ?? "0",
    policy.namespace || "(global)",
    policy.sensors?.join(",") ?? "",
    byteCount(Number(policy.kernel_memory_bytes ?? 0)),
    policy.count_only ? "count" : shortName(policy.mode, "tp_mode_"),
    counters.post ?? "0",
    sum(counters, /^(signal|override|notify_enforcer)$/),
    sum(counters, /^monitor_(signal|override|notify_enforcer)$/),
  ];
}

/** `512 B`, `4.46 MB`: decimal units, as tetra has them. */
function byteCount(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const power = Math.min(Math.floor(Math.log10(bytes) / 3), 6);
  return `${(bytes / 1000 ** power).toFixed(2)} ${" kMGTPE"[power]}B`;
}

function shortName(value: string | undefined, prefix: string): string {
  return (value ?? "unknown").toLowerCase().replace(prefix, "");
}

function sum(counters: Record<string, string>, names: RegExp): string {
  const values = Object.entries(counters).filter(([name]) => names.test(name));
  return String(values.reduce((total, [, value]) => total + BigInt(value), 0n));
}

function troubles({ name, error, hook_statuses = [] }: PolicyStatus): string[] {
  const missing = hook_statuses.filter(({ state }) => state !== "STATUS_LOADED");
  return [
    ...(error ? [`${name}: ${error}`] : []),
    ...missing.map((hook) => `${name}: ${hook.section}[${hook.hook_idx ?? 0}] ${hook.hook_description}`),
  ];
}

/** Adds the policies of files, `-` for the standard input; stops at the first that the agent refuses. */
export async function addPolicies(
  client: AgentClient,
  files: readonly string[],
  { mode, domain = "" }: { mode?: string; domain?: string },
  streams: Streams,
): Promise<number> {
  for (const file of files) {
    const text = await readText(file, streams);
    await client.call("AddTracingPolicy", { yaml: mode === undefined ? text : withMode(text, mode), domain });
    streams.out(`${file}: added`);
  }
  return EXIT.ok;
}

async function readText(file: string, { stdin }: Streams): Promise<string> {
  try {
    return file === "-" ? Buffer.from(await stdin()).toString("utf8") : await readFile(file, "utf8");
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** The policy with the option policy-mode, so that it never runs in another mode, not for a moment. */
function withMode(yaml: string, mode: string): string {
  const document = parseDocument(yaml, { version: "1.1" });
  if (document.errors[0]) return yaml; // the agent names what is wrong
  const options = document.getIn(["spec", "options"]);
  if (isSeq(options)) {
    options.items = options.items.filter(
      (item) => (item as { get?(key: string): unknown }).get?.("name") !== MODE,
    );
  }
  const list = (isSeq(options) ? options.toJSON() : []) as object[];
  document.setIn(["spec", "options"], [...list, { name: MODE, value: mode }]);
  return document.toString();
}

const MODE = "policy-mode";

/** Deletes policies that clients have added. */
export async function deletePolicies(
  client: AgentClient,
  names: readonly string[],
  choice: PolicyChoice,
  streams: Streams,
): Promise<number> {
  for (const name of names) {
    await client.call("DeleteTracingPolicy", { name, ...choice });
    streams.out(`${name}: deleted`);
  }
  return EXIT.ok;
}

const MODE_REQUESTS = {
  enforce: { mode: "TP_MODE_ENFORCE" },
  monitor: { mode: "TP_MODE_MONITOR" },
  count: { mode: "TP_MODE_MONITOR", count_only: true },
};

/** What `configurePolicy` changes. */
export type PolicyChange = { enable: boolean } | { mode: keyof typeof MODE_REQUESTS };

/** Switches a policy on or off on this node, or between enforcing, monitoring and counting. */
export async function configurePolicy(
  client: AgentClient,
  name: string,
  change: PolicyChange,
  choice: PolicyChoice,
  { out }: Streams,
): Promise<number> {
  const wanted = "mode" in change ? MODE_REQUESTS[change.mode] : change;
  await client.call("ConfigureTracingPolicy", { name, ...choice, ...wanted });
  out(`${name}: ${"mode" in change ? change.mode : change.enable ? "enabled" : "disabled"}`);
  return EXIT.ok;
}

/** Prints the domains that policies come from. */
export async function listDomains(client: AgentClient, { out }: Streams): Promise<number> {
  const { domains = [] } = await client.call<{ domains?: string[] }>("ListDomains");
  for (const domain of domains) out(domain);
  return EXIT.ok;
}
