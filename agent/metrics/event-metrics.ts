/** What the agent counts about events. Values live in plain objects and reach prom-client when they are scraped. */
import type { Registry } from "prom-client";
import type { HookDef, HookSection } from "../../crds/hook-spec.ts";
import { type PolicyRef, policyKey } from "../../crds/names.ts";
import { type Labels, type Sample, scrapedCounter, scrapedGauge } from "../../lib/scraped-metrics.ts";
import { type HookLosses, LossCounters } from "./losses.ts";
import { MessageCounts } from "./messages.ts";
import { PolicyLabels } from "./policy-labels.ts";
import { FlagCounts } from "./process-flags.ts";
import { PROCESS_LABELS, SeriesCounter } from "./series.ts";
import { SyscallSeries } from "./syscall-series.ts";

/** Event types as upstream's metric spells them. */
export type EventType =
  | "PROCESS_EXEC"
  | "PROCESS_EXIT"
  | "PROCESS_KPROBE"
  | "PROCESS_TRACEPOINT"
  | "PROCESS_LSM"
  | "CREDENTIAL_DRIFT";

/** Type of the events of a section's hooks. */
export function eventType(section: HookSection): EventType {
  if (section === "lsmhooks") return "PROCESS_LSM";
  return section === "tracepoints" ? "PROCESS_TRACEPOINT" : "PROCESS_KPROBE";
}

const KINDS = { kprobes: "kprobe", fentries: "fentry", tracepoints: "tracepoint", lsmhooks: "lsm" };

/** Value of the label `hook`: the section's singular and the function or what else the policy names, as upstream has it. */
export function hookLabel(hook: { def: Pick<HookDef, "section" | "call">; functionName: string }): string {
  const { section, call } = hook.def;
  const isFunction = section === "kprobes" || section === "fentries";
  return `${KINDS[section]}:${isFunction ? hook.functionName : call}`;
}

/** What a hook posted, and what it counted instead. */
interface HookSeries {
  policy: PolicyRef;
  series: SeriesCounter;
  counted: SeriesCounter;
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
  /** Records of pods that were not known when a hook ran: nothing was enforced. */
  undecidedRecords = 0;
  /** Records of processes that turned out to be outside of the scope of their policy. */
  outOfScopeRecords = 0;
  /** Events that went out without the pod of their container. */
  unresolvedPodEvents = 0;
  /** Events that were not held because too many waited. */
  waitOverflows = 0;
  waitingEvents: () => number = () => 0;
  /** Records by Tetragon's message. */
  readonly messages = new MessageCounts();
  /** Flags of processes that executed a file. */
  readonly flags = new FlagCounts();
  /** What hooks of raw_syscalls/sys_enter have reported. */
  readonly syscalls: SyscallSeries;
  readonly #registry: Registry;
  readonly #types = new Map<EventType, SeriesCounter>();
  readonly #hooks = new Map<Labels, HookSeries>();
  readonly #labels = new PolicyLabels();
  readonly #losses: LossCounters;
  readonly #processLabels: readonly string[];
  readonly #nodeName: string;

  /** `processLabels`: the labels of processes that are not left empty. */
  constructor(registry: Registry, nodeName: string, processLabels: readonly string[] = PROCESS_LABELS) {
    this.#registry = registry;
    this.#nodeName = nodeName;
    this.#processLabels = processLabels;
    this.syscalls = new SyscallSeries(processLabels);
    this.#losses = new LossCounters(registry, this.#labels);
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
    return this.#seriesOf(policy, hook).series;
  }

  /** Counter of what a hook counted instead of posting it. */
  countedBy(policy: PolicyRef, hook: string): SeriesCounter {
    return this.#seriesOf(policy, hook).counted;
  }

  #seriesOf(policy: PolicyRef, hook: string): HookSeries {
    const labels = this.#labels.of(policy, hook);
    const make = () => new SeriesCounter(this.#processLabels);
    const known = this.#hooks.get(labels) ?? { policy, series: make(), counted: make() };
    this.#hooks.set(labels, known);
    return known;
  }

  /** How many events each policy had, or counted, by their place. */
  *eventCounts(): Generator<{ policy: string; namespace: string; binary: string; count: number }> {
    for (const { policy, series, counted } of this.#hooks.values()) {
      for (const each of [series, counted])
        for (const { labels, count } of each.entries())
          yield { policy: policyKey(policy), namespace: labels.namespace, binary: labels.binary, count };
    }
  }

  /** What becomes of a hook's events on the way out. */
  lossesOf(policy: PolicyRef, hook: string): HookLosses {
    return this.#losses.of(policy, hook);
  }

  /** Drops the counts of a policy that is gone. */
  forgetPolicy(policy: PolicyRef): void {
    for (const [labels, counted] of this.#hooks) {
      if (policyKey(counted.policy) === policyKey(policy)) this.#hooks.delete(labels);
    }
    this.#losses.forget(policy);
    this.#labels.forget(policy);
  }

  #registerEvents(): void {
    const node = { node_name: this.#nodeName };
    const types = new Map<EventType, Labels>();
    const labelsOf = (type: EventType) => {
      const labels = types.get(type) ?? { type, ...node };
      types.set(type, labels);
      return labels;
    };
    scrapedCounter(this.#registry, "trigon_events_total", "Events by type.", () =>
      [...this.#types].flatMap(([type, series]) => samples(series, labelsOf(type))),
    );
    this.#registerCounts();
    const withNode = new WeakMap<Labels, Labels>();
    const ofHook = (labels: Labels) => withLabels(withNode, labels, node);
    scrapedCounter(this.#registry, "trigon_policy_events_total", "Events of policies.", () =>
      [...this.#hooks].flatMap(([labels, { series }]) => samples(series, ofHook(labels))),
    );
    const counted = "Events of policies in the mode count: they are counted in the kernel and not posted.";
    scrapedCounter(this.#registry, "trigon_policy_counted_events_total", counted, () =>
      [...this.#hooks].flatMap(([labels, { counted: series }]) => samples(series, ofHook(labels))),
    );
  }

  /** System calls, messages and flags, as Tetragon counts them. */
  #registerCounts(): void {
    const node = { node_name: this.#nodeName };
    const labelled = new WeakMap<Labels, Labels>();
    const calls = "System calls that hooks of raw_syscalls/sys_enter have reported.";
    scrapedCounter(this.#registry, "trigon_syscalls_total", calls, () =>
      [...this.syscalls.calls()].flatMap(({ labels, series }) =>
        samples(series, withLabels(labelled, labels, node)),
      ),
    );
    const messages = "Records read from the ring buffer, by Tetragon's number of their message.";
    scrapedCounter(this.#registry, "trigon_msg_op_total", messages, () =>
      this.messages.entries().map(({ labels, count }): Sample => [labels, count]),
    );
    const flags = "Flags of the processes that executed a file or were found in /proc.";
    scrapedCounter(this.#registry, "trigon_flags_total", flags, () => this.flags.samples());
  }

  #registerPipeline(): void {
    const counters: [name: string, help: string, read: () => number][] = [
      ["ring_batches", "Batches read from the ring buffer.", () => this.batches],
      ["ring_read_bytes", "Bytes read from the ring buffer.", () => this.ringBytes],
      ["observer_ringbuf_errors", "Records that could not be decoded.", () => this.malformedRecords],
      ["unknown_hook_records", "Records of hooks that are not registered.", () => this.unknownHookRecords],
      [
        "replaced_hook_records",
        "Records of a replaced or a replacing hook that the other one of the two reports.",
        () => this.outOfWindowRecords,
      ],
      [
        "undecided_scope_records",
        "Records of pods that were not known when a hook ran, so that nothing was enforced.",
        () => this.undecidedRecords,
      ],
      [
        "out_of_scope_records",
        "Records of pods that were not known when a hook ran, and that its policy turned out not to be about.",
        () => this.outOfScopeRecords,
      ],
      [
        "event_cache_overflows",
        "Events that were not held until their process or pod is known, because too many waited.",
        () => this.waitOverflows,
      ],
    ];
    for (const [name, help, read] of counters)
      scrapedCounter(this.#registry, `trigon_${name}_total`, help, () => [[NO_LABELS, read()]]);
    const failures = "Events that went out without what they waited for.";
    scrapedCounter(this.#registry, "trigon_event_cache_fetch_failures_total", failures, () => [
      [POD_INFO, this.unresolvedPodEvents],
    ]);
    scrapedGauge(
      this.#registry,
      "trigon_event_cache_entries",
      "Events held until their process or pod is known.",
      () => this.waitingEvents(),
    );
  }
}

const NO_LABELS: Labels = {};
const POD_INFO: Labels = { entry_type: "pod_info" };

/** The same object each time for the same labels. */
function withLabels(made: WeakMap<Labels, Labels>, labels: Labels, more: Labels): Labels {
  const all = made.get(labels) ?? { ...labels, ...more };
  made.set(labels, all);
  return all;
}

/** As they are now: series move while a large answer is made. */
function samples(series: SeriesCounter, labels: Labels): Sample[] {
  return Array.from(series.entries(), (entry): Sample => [labels, entry.count, entry.labels]);
}
