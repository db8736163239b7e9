/** What the agent counts about events. Values live in plain objects and reach prom-client when they are scraped. */
import type { Registry } from "prom-client";
import type { HookDef, HookSection } from "../../crds/hook-spec.ts";
import type { PolicyRef } from "../../crds/names.ts";
import type { ActionStats } from "../hooks/attach/hook-stats.ts";
import type { ProcessCache } from "../process/cache.ts";
import type { ExportStats } from "./export-stats.ts";
import { type Labels, type Sample, scrapedCounter, scrapedGauge, sumByLabels } from "./scraped.ts";
import { PROCESS_LABELS, SeriesCounter } from "./series.ts";

/** Kernel-side counters of one attached hook or process sensor. */
export interface HookCounts {
  /** Absent for the process sensors. */
  policy?: PolicyRef;
  /** See hookLabel(). */
  hook: string;
  hits: number;
  posted: number;
  lost: number;
  rateLimited: number;
  errors: number;
  missed: number;
  /** Actions of selectors, by their labels or indexes; absent for the process sensors. */
  actions?: readonly ({ selector: string } & ActionStats)[];
}

/** Event types as upstream's metric spells them. */
export type EventType =
  | "PROCESS_EXEC"
  | "PROCESS_EXIT"
  | "PROCESS_KPROBE"
  | "PROCESS_TRACEPOINT"
  | "PROCESS_LSM";

/** Type of the events of a section's hooks. */
export function eventType(section: HookSection): EventType {
  if (section === "lsmhooks") return "PROCESS_LSM";
  return section === "tracepoints" ? "PROCESS_TRACEPOINT" : "PROCESS_KPROBE";
}

const POLICY_LABELS = ["policy", "policy_namespace", "hook"];

const KINDS = { kprobes: "kprobe", fentries: "fentry", tracepoints: "tracepoint", lsmhooks: "lsm" };

/** Value of the label `hook`: the section's singular and the function or what else the policy names, as upstream has it. */
export function hookLabel(hook: { def: Pick<HookDef, "section" | "call">; functionName: string }): string {
  const { section, call } = hook.def;
  const isFunction = section === "kprobes" || section === "fentries";
  return `${KINDS[section]}:${isFunction ? hook.functionName : call}`;
}

/** The pipeline's counters and the metrics that show them. */
export class EventMetrics {
  batches = 0;
  ringBytes = 0;
  malformedRecords = 0;
  /** Records with the id of a hook that is not registered, or no longer. */
  unknownHookRecords = 0;
  /** Records from before or after the time in which their hook counts. */
  outOfWindowRecords = 0;
  /** Events that went out without the pod of their container. */
  unresolvedPodEvents = 0;
  /** Events that were not held because too many waited. */
  waitOverflows = 0;
  waitingEvents: () => number = () => 0;
  readonly #registry: Registry;
  readonly #types = new Map<EventType, SeriesCounter>();
  readonly #hooks = new Map<string, { labels: Labels; series: SeriesCounter }>();

  readonly #processLabels: readonly string[];

  /** `processLabels`: the labels of processes that are not left empty. */
  constructor(registry: Registry, processLabels: readonly string[] = PROCESS_LABELS) {
    this.#registry = registry;
    this.#processLabels = processLabels;
    this.#registerEvents();
    this.#registerPipeline();
  }

  /** Counter of the events of a type. */
  ofType(type: EventType): SeriesCounter {
    let series = this.#types.get(type);
    if (series === undefined) {
      series = new SeriesCounter(this.#processLabels);
      this.#types.set(type, series);
    }
    return series;
  }

  /** Counter of a hook's events; a hook that replaces an equal one goes on counting. */
  ofHook(policy: PolicyRef, hook: string): SeriesCounter {
    const labels = policyLabels(policy, hook);
    const key = JSON.stringify(labels);
    const known = this.#hooks.get(key);
    if (known !== undefined) return known.series;
    const series = new SeriesCounter(this.#processLabels);
    this.#hooks.set(key, { labels, series });
    return series;
  }

  /** Drops the counts of a policy that is gone. */
  forgetPolicy(policy: PolicyRef): void {
    for (const [key, { labels }] of this.#hooks) {
      if (labels.policy === policy.name && labels.policy_namespace === (policy.namespace ?? ""))
        this.#hooks.delete(key);
    }
  }

  /** Registers the kernel's counters of hooks and process sensors; `read` is called at each scrape. */
  watchHooks(read: () => HookCounts[]): void {
    this.#watchActions(read);
    const figures: [keyof HookCounts & string, name: string, help: string][] = [
      ["hits", "hits", "Runs of a hook's program."],
      ["posted", "posted", "Records that a hook wrote to the ring buffer."],
      ["lost", "lost", "Records of a hook that found the ring buffer full."],
      ["rateLimited", "rate_limited", "Matches that the rate limit of a hook left out."],
      ["errors", "errors", "Records of a hook lost to a failing helper."],
      [
        "missed",
        "missed_runs",
        "Runs of a hook that the kernel skipped because its program was already running.",
      ],
    ];
    for (const [figure, name, help] of figures) {
      scrapedCounter(this.#registry, `trigon_hook_${name}_total`, help, POLICY_LABELS, () =>
        sumByLabels(
          read().map((counts) => [policyLabels(counts.policy, counts.hook), counts[figure] as number]),
        ),
      );
    }
  }

  #watchActions(read: () => HookCounts[]): void {
    const name = "trigon_policy_actions_total";
    const help = "Actions of a policy's selectors; those with monitor_ would be taken in the mode enforce.";
    scrapedCounter(this.#registry, name, help, [...POLICY_LABELS, "selector", "action"], () =>
      sumByLabels(
        read().flatMap(({ policy, hook, actions = [] }) =>
          actions.flatMap(({ selector, ...counts }) =>
            Object.entries(counts).map(
              ([action, count]): Sample => [{ ...policyLabels(policy, hook), selector, action }, count],
            ),
          ),
        ),
      ),
    );
  }

  /** Registers the figures of the process cache. */
  watchProcesses(cache: ProcessCache): void {
    scrapedGauge(
      this.#registry,
      "trigon_process_cache_size",
      "Process images in the cache.",
      () => cache.size,
    );
    scrapedGauge(
      this.#registry,
      "trigon_process_cache_capacity",
      "Upper bound of the process cache.",
      () => cache.capacity,
    );
    const evictions = () => cache.stats.evictions;
    scrapedCounter(
      this.#registry,
      "trigon_process_cache_evictions_total",
      "Images dropped because the cache was full.",
      [],
      () => [[{}, evictions()]],
    );
    const help =
      "Records of a process, exec or exit whose own record is missing, and lookups in /proc that found nothing.";
    scrapedCounter(this.#registry, "trigon_process_cache_misses_total", help, ["operation"], () => {
      const { processMisses, execMisses, exitMisses, unknown } = cache.stats;
      const counts = { process: processMisses, exec: execMisses, exit: exitMisses, lookup: unknown };
      return Object.entries(counts).map(([operation, count]): Sample => [{ operation }, count]);
    });
  }

  /** Registers the counters of the export. */
  watchExport({ stats }: { readonly stats: Readonly<ExportStats> }): void {
    scrapedCounter(
      this.#registry,
      "trigon_events_exported_total",
      "Events written to the export.",
      [],
      () => [[{}, stats.events]],
    );
    scrapedCounter(
      this.#registry,
      "trigon_events_exported_bytes_total",
      "Bytes written to the export.",
      [],
      () => [[{}, stats.bytes]],
    );
    scrapedCounter(
      this.#registry,
      "trigon_export_lost_events_total",
      "Events that did not reach the export.",
      ["reason"],
      () => [
        [{ reason: "overflow" }, stats.overflowedEvents],
        [{ reason: "write_failed" }, stats.failedEvents],
      ],
    );
    scrapedCounter(
      this.#registry,
      "trigon_export_errors_total",
      "Writes to the export that failed.",
      [],
      () => [[{}, stats.errors]],
    );
    scrapedCounter(
      this.#registry,
      "trigon_export_rotation_errors_total",
      "Steps of rotations of the export file that failed.",
      [],
      () => [[{}, stats.rotationErrors]],
    );
    const seconds = "When the last event was exported, in seconds since the epoch.";
    scrapedGauge(
      this.#registry,
      "trigon_events_last_exported_timestamp_seconds",
      seconds,
      () => stats.lastExportSeconds,
    );
  }

  #registerEvents(): void {
    scrapedCounter(
      this.#registry,
      "trigon_events_total",
      "Events by type.",
      ["type", ...PROCESS_LABELS],
      () => [...this.#types].flatMap(([type, series]) => samples(series, { type })),
    );
    scrapedCounter(
      this.#registry,
      "trigon_policy_events_total",
      "Events of policies.",
      [...POLICY_LABELS, ...PROCESS_LABELS],
      () => [...this.#hooks.values()].flatMap(({ labels, series }) => samples(series, labels)),
    );
  }

  #registerPipeline(): void {
    const counters: [name: string, help: string, read: () => number][] = [
      ["trigon_ring_batches_total", "Batches read from the ring buffer.", () => this.batches],
      ["trigon_ring_read_bytes_total", "Bytes read from the ring buffer.", () => this.ringBytes],
      [
        "trigon_ring_malformed_records_total",
        "Records that could not be decoded.",
        () => this.malformedRecords,
      ],
      [
        "trigon_unknown_hook_records_total",
        "Records of hooks that are not registered.",
        () => this.unknownHookRecords,
      ],
      [
        "trigon_replaced_hook_records_total",
        "Records of a replaced or a replacing hook that the other one of the two reports.",
        () => this.outOfWindowRecords,
      ],
      [
        "trigon_pod_unresolved_events_total",
        "Events of containers whose pod did not become known in time.",
        () => this.unresolvedPodEvents,
      ],
      [
        "trigon_pod_wait_overflows_total",
        "Events that were not held because too many waited.",
        () => this.waitOverflows,
      ],
    ];
    for (const [name, help, read] of counters)
      scrapedCounter(this.#registry, name, help, [], () => [[{}, read()]]);
    scrapedGauge(
      this.#registry,
      "trigon_events_waiting",
      "Events held until their process or pod is known.",
      () => this.waitingEvents(),
    );
  }
}

function samples(series: SeriesCounter, labels: Labels): Sample[] {
  return [...series.entries()].map((entry) => [{ ...labels, ...entry.labels }, entry.count]);
}

function policyLabels(policy: PolicyRef | undefined, hook: string): Labels {
  return { policy: policy?.name ?? "", policy_namespace: policy?.namespace ?? "", hook };
}
