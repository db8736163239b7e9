/** Metrics of what is built once per agent: process cache, export, scopes, hooks and policies. */
import type { Registry } from "prom-client";
import { type Labels, type Sample, scrapedCounter, scrapedGauge } from "../../lib/scraped-metrics.ts";
import type { ProcessCache } from "../process/cache.ts";
import type { ExportStats } from "./export-stats.ts";
import { type PolicyView, registerHookMetrics } from "./hook-metrics.ts";
import { type ReadCounts, registerKernelMetrics } from "./kernel-metrics.ts";

const NONE: Labels = {};

/** What the metrics are read from. */
export interface AgentView {
  processes: ProcessCache;
  sink: { readonly stats: Readonly<ExportStats> };
  /** Absent outside of Kubernetes. */
  scopes?: { readonly unwritten: number } | undefined;
  policies: PolicyView;
  readCounts: ReadCounts;
}

/** Registers all metrics of the agent, except those that events, watches, clients and the rate limit count themselves. */
export function registerAgentMetrics(registry: Registry, view: AgentView): void {
  registerProcessMetrics(registry, view.processes);
  registerExportMetrics(registry, view.sink);
  if (view.scopes) registerScopeMetrics(registry, view.scopes);
  registerKernelMetrics(registry, view.readCounts);
  registerHookMetrics(registry, view.policies);
}

function counter(registry: Registry, name: string, help: string, read: () => number): void {
  scrapedCounter(registry, name, help, () => [[NONE, read()]]);
}

/** A counter with one label, from an object whose keys are its values. */
function counterBy(
  registry: Registry,
  name: string,
  help: string,
  label: string,
  read: () => Record<string, number>,
): void {
  const labels = new Map<string, Labels>();
  const labelsOf = (value: string) => {
    const known = labels.get(value) ?? { [label]: value };
    labels.set(value, known);
    return known;
  };
  scrapedCounter(registry, name, help, () =>
    Object.entries(read()).map(([value, count]): Sample => [labelsOf(value), count]),
  );
}

/** Registers the figures of the process cache. */
function registerProcessMetrics(registry: Registry, cache: ProcessCache): void {
  const name = (rest: string) => `trigon_process_cache_${rest}`;
  scrapedGauge(registry, name("size"), "Process images in the cache.", () => cache.size);
  scrapedGauge(registry, name("capacity"), "Upper bound of the process cache.", () => cache.capacity);
  const evictions = "Images dropped because the cache was full.";
  counter(registry, name("evictions_total"), evictions, () => cache.stats.evictions);
  const misses =
    "Records of a process, exec or exit whose own record is missing, and lookups in /proc that found nothing.";
  counterBy(registry, name("misses_total"), misses, "operation", () => {
    const { processMisses, execMisses, exitMisses, unknown } = cache.stats;
    return { process: processMisses, exec: execMisses, exit: exitMisses, lookup: unknown };
  });
  const missing = "Processes in events of which neither a record nor /proc had anything.";
  counter(registry, "trigon_events_missing_process_info_total", missing, () => cache.stats.unknown);
}

/** Registers the figure of cgroups that no scope can be evaluated for. */
function registerScopeMetrics(registry: Registry, scopes: { readonly unwritten: number }): void {
  const help = "Cgroups of pods without room on the kernel's side; nothing is enforced on their processes.";
  scrapedGauge(registry, "trigon_cgroups_without_scopes", help, () => scopes.unwritten);
}

/** Registers the counters of the export. */
function registerExportMetrics(registry: Registry, { stats }: AgentView["sink"]): void {
  const total = (name: string, help: string, read: () => number) =>
    counter(registry, `trigon_${name}_total`, help, read);
  total("events_exported", "Events written to the export.", () => stats.events);
  total("events_exported_bytes", "Bytes written to the export.", () => stats.bytes);
  const lost = "Events that did not reach the export.";
  counterBy(registry, "trigon_export_lost_events_total", lost, "reason", () => ({
    overflow: stats.overflowedEvents,
    write_failed: stats.failedEvents,
  }));
  total("export_errors", "Writes to the export that failed.", () => stats.errors);
  const rotation = "Steps of rotations of the export file that failed.";
  total("export_rotation_errors", rotation, () => stats.rotationErrors);
  const seconds = "When the last event was exported, in seconds since the epoch.";
  scrapedGauge(registry, "trigon_events_last_exported_timestamp", seconds, () => stats.lastExportSeconds);
}
