/** Prometheus metrics. A process has one registry, passed as an argument; there is no global one. */
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

/** Longer than any process runs, in milliseconds. */
const NEVER_MS = 2 ** 31 - 1;

/**
 * Registers prom-client's metrics of the process and of Node.js, except those of its event-loop monitor, which would
 * wake the process a hundred times a second. The monitor cannot be switched off, so its period is set to one that never
 * ends. `nodejs_eventloop_lag_seconds` stays, because it is measured at each scrape.
 */
function collectQuietMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: NEVER_MS });
  // Gauges with a name that is a counter's.
  for (const what of ["handles", "requests", "resources"]) {
    registry.removeSingleMetric(`nodejs_active_${what}_total`);
  }
  for (const statistic of ["min", "max", "mean", "stddev", "p50", "p90", "p99"]) {
    registry.removeSingleMetric(`nodejs_eventloop_lag_${statistic}_seconds`);
  }
}

/** Metrics of the watches of a process; see ResourceWatch. */
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
