/** The operator's metrics. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** The operator's own metrics; those of its watches are in lib/metrics.ts. */
export interface OperatorMetrics {
  reconciles: Counter<"result">;
  reconcileSeconds: Histogram;
  rejections: Counter;
  compileErrors: Counter<"field">;
  statusWrites: Counter;
  readySeconds: Histogram;
  reviews: Counter<"result">;
}

/** What is read when metrics are scraped. */
export interface OperatorState {
  queueDepth(): Record<string, number>;
  policies(): number;
  nodes(): number;
}

/** Registers gauges of what the operator knows at the time of a scrape. */
export function registerGauges(registry: Registry, read: OperatorState): void {
  const registers = [registry];
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  new Gauge({
    name: "trigon_operator_queue_depth",
    help: "Policies that wait for work, by queue.",
    labelNames: ["queue"],
    registers,
    collect() {
      for (const [queue, depth] of Object.entries(read.queueDepth())) this.set({ queue }, depth);
    },
  });
  gauge("trigon_operator_policies", "Policies in the cluster.", read.policies);
  gauge("trigon_operator_nodes", "Nodes with an agent Pod.", read.nodes);
}

/** Registers the counters. */
export function createOperatorMetrics(registry: Registry): OperatorMetrics {
  const registers = [registry];
  return {
    reconciles: new Counter({
      name: "trigon_operator_reconciles_total",
      help: "Runs of the reconciler, by result: ok, retry (failed, will be repeated) or terminal.",
      labelNames: ["result"],
      registers,
    }),
    reconcileSeconds: new Histogram({
      name: "trigon_operator_reconcile_duration_seconds",
      help: "Time of one run of the reconciler.",
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
      registers,
    }),
    rejections: new Counter({
      name: "trigon_operator_rejected_policies_total",
      help: "Generations of policies that did not compile.",
      registers,
    }),
    compileErrors: new Counter({
      name: "trigon_operator_compile_errors_total",
      help: "Errors of policies that did not compile, by the field of the spec, at each attempt; the first ten of a policy.",
      labelNames: ["field"],
      registers,
    }),
    reviews: new Counter({
      name: "trigon_operator_admission_reviews_total",
      help: "Policies that API servers asked about, by result: allowed, warned or refused.",
      labelNames: ["result"],
      registers,
    }),
    statusWrites: new Counter({
      name: "trigon_operator_status_writes_total",
      help: "Writes to the status of policies.",
      registers,
    }),
    readySeconds: new Histogram({
      name: "trigon_operator_ready_delay_seconds",
      help: "Time from the last report about a policy until its status says Ready, each time that it becomes Ready.",
      buckets: [0.1, 0.5, 1, 2, 5, 10, 30, 60],
      registers,
    }),
  };
}

/** Fields of a spec that errors are counted by. */
const FIELDS = new Set([
  "kprobes",
  "fentries",
  "tracepoints",
  "lsmhooks",
  "uprobes",
  "usdts",
  "lists",
  "options",
  "selectorsMacros",
  "podSelector",
  "containerSelector",
  "hostSelector",
  "nodeSelector",
]);

/** The label for an error at this path; what users invent does not become labels. */
export function errorField(path: string): string {
  const field = /^spec\.(\w+)/.exec(path)?.[1] ?? "";
  return FIELDS.has(field) ? field : "other";
}
