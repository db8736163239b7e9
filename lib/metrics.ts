/** Prometheus metrics: one registry per process, handed down; nothing registers itself globally. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";

/** Makes the registry of a process with `trigon_build_info` and, if asked, the process and Node.js metrics. */
export function createRegistry(options: {
  component: string;
  version: string;
  defaultMetrics?: boolean;
}): Registry {
  const registry = new Registry();
  const info = new Gauge({
    name: "trigon_build_info",
    help: "Build of this process; the value is always 1.",
    labelNames: ["component", "version", "node_version"],
    registers: [registry],
  });
  info.set({ component: options.component, version: options.version, node_version: process.version }, 1);
  if (options.defaultMetrics !== false) collectQuietMetrics(registry);
  return registry;
}

/** Longer than any process runs, in milliseconds: the timer of prom-client's monitor of the event loop never fires. */
const NEVER_MS = 2 ** 31 - 1;

/**
 * prom-client's metrics of the process and of Node.js. Its monitor of the event loop would wake the process a hundred times
 * a second, and cannot be left out: it is set to a period that never ends, and the metrics that it would fill are not
 * there. `nodejs_eventloop_lag_seconds`, which is measured by each scrape, stays.
 */
function collectQuietMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: NEVER_MS });
  for (const statistic of ["min", "max", "mean", "stddev", "p50", "p90", "p99"]) {
    registry.removeSingleMetric(`nodejs_eventloop_lag_${statistic}_seconds`);
  }
}

/** What the watches of a process count; see ResourceWatch. */
export interface WatchMetrics {
  open: Gauge<"resource">;
  restarts: Counter<"resource" | "reason">;
  lists: Counter<"resource">;
}

/** Registers the metrics of ResourceWatch. */
export function createWatchMetrics(registry: Registry): WatchMetrics {
  const registers = [registry];
  return {
    open: new Gauge({
      name: "trigon_watch_open",
      help: "Watch requests to the API server that are open now.",
      labelNames: ["resource"],
      registers,
    }),
    restarts: new Counter({
      name: "trigon_watch_restarts_total",
      help: "Watch requests that ended, by reason.",
      labelNames: ["resource", "reason"],
      registers,
    }),
    lists: new Counter({
      name: "trigon_watch_lists_total",
      help: "Complete lists that were read from the API server.",
      labelNames: ["resource"],
      registers,
    }),
  };
}
