/** What the kernel counts about hooks and process sensors, read when it is scraped. */
import type { Registry } from "prom-client";
import type { HookSection } from "../../crds/hook-spec.ts";
import type { PolicyRef } from "../../crds/names.ts";
import {
  type Labels,
  oncePerScrape,
  type Sample,
  Slices,
  scrapedCounter,
  sumSamples,
} from "../../lib/scraped-metrics.ts";
import { type ActionStats, addStats, type HookStats } from "../hooks/attach/hook-stats.ts";
import { hookMessage, MESSAGES } from "./messages.ts";
import { KEPT_POLICIES, PolicyLabels, policyLabels } from "./policy-labels.ts";

/** Counters of one attached hook or of the process sensors. */
export interface HookCounts extends HookStats {
  /** Absent for the process sensors. */
  policy?: PolicyRef;
  /** See hookLabel(). */
  hook: string;
  /** Absent for the process sensors, as is the place among the hooks of its section. */
  section?: HookSection;
  index?: number;
  /** Actions of selectors, in their order; absent for the process sensors. */
  actions?: readonly SelectorActions[];
}

/** How often a selector carried out each action. */
export interface SelectorActions extends ActionStats {
  /** The selector's label, or its place. */
  selector: string;
  index: number;
  label?: string;
}

const FIGURES = {
  hits: ["hook_hits", "Runs of a hook's program."],
  posted: ["hook_posted", "Records that a hook wrote to the ring buffer."],
  lost: ["hook_lost", "Records of a hook that found the ring buffer full."],
  rateLimited: ["hook_rate_limited", "Matches that the rate limit of a hook left out."],
  errors: ["hook_errors", "Records of a hook lost to a failing helper."],
  missed: [
    "hook_missed_runs",
    "Runs of a hook that the kernel skipped because its program was already running.",
  ],
} as const satisfies Partial<Record<keyof HookCounts, readonly [name: string, help: string]>>;

type Figure = keyof typeof FIGURES;

/** Reads all counts; other work has its turn in between. */
export type ReadCounts = (slices: Slices) => Promise<readonly HookCounts[]>;

/** Registers the counters; `read` is called once at each scrape. */
export function registerKernelMetrics(registry: Registry, read: ReadCounts): void {
  const labels = new PolicyLabels(KEPT_POLICIES);
  const counts = oncePerScrape(async () =>
    (await read(new Slices())).map((own) => ({ own, labels: labels.of(own.policy, own.hook) })),
  );
  const perHook = oncePerScrape(async () => sumByLabels(await counts()));
  const counter = (name: string, help: string, samples: () => Promise<Sample[]>) =>
    scrapedCounter(registry, `trigon_${name}_total`, help, samples);
  for (const [figure, [name, help]] of Object.entries(FIGURES))
    counter(name, help, async () =>
      Array.from(await perHook(), ([labels, stats]): Sample => [labels, stats[figure as Figure]]),
    );
  const sum = async (figure: Figure): Promise<Sample[]> => [
    [NONE, (await counts()).reduce((total, { own }) => total + own[figure], 0)],
  ];
  counter("observer_ringbuf_events_received", "Records written to the ring buffer.", () => sum("posted"));
  counter("observer_ringbuf_events_lost", "Records that found the ring buffer full.", () => sum("lost"));
  const total = (name: string, help: string, samples: (counts: LabelledCounts) => Sample[]) =>
    counter(name, help, async () => sumSamples((await counts()).flatMap(samples)));
  const missed = "Records that did not reach the ring buffer, by the type of message and what was wrong.";
  total("bpf_missed_events", missed, missedSamples());
  const probes = "Runs that the kernel skipped because a program was already running, by function.";
  total("missed_prog_probes", probes, missedProbes());
  registerOverhead(registry, counts);
  registerActions(registry, counts);
}

/** There is nothing to show while the kernel does not time programs. */
function registerOverhead(registry: Registry, counts: () => Promise<readonly LabelledCounts[]>): void {
  const labels = new OverheadLabels();
  const counter = (what: string, help: string, value: (own: HookCounts) => number) =>
    scrapedCounter(registry, `trigon_overhead_program_${what}_total`, help, async () => {
      const timed = (await counts()).filter(({ own }) => own.timedRuns > 0);
      return sumSamples(timed.map((one): Sample => [labels.of(one), value(one.own)]));
    });
  const enabled = "while kernel.bpf_stats_enabled is 1";
  counter("runs", `Runs of programs ${enabled}.`, ({ timedRuns }) => timedRuns);
  counter("seconds", `Time that programs ran ${enabled}.`, ({ runNs }) => runNs / 1e9);
}

/** Upstream's names of what carries out the hooks of a section. */
export const SENSORS: Record<HookSection, string> = {
  kprobes: "generic_kprobe",
  fentries: "generic_fentry",
  tracepoints: "generic_tracepoint",
  lsmhooks: "generic_lsm",
};

/** The function in a hook's label. */
function functionOf(hook: string): string {
  return hook.slice(hook.indexOf(":") + 1);
}

/** One object of labels for those of each hook. */
class OverheadLabels {
  readonly #ofHooks = new WeakMap<Labels, Labels>();

  of({ labels, own: { policy, hook, section } }: LabelledCounts): Labels {
    const known = this.#ofHooks.get(labels) ?? {
      ...policyLabels(policy),
      sensor: section ? SENSORS[section] : "base",
      attach: functionOf(hook),
      section: section ?? "",
    };
    this.#ofHooks.set(labels, known);
    return known;
  }
}

/** Counts with the labels of their hook, one object for each hook. */
interface LabelledCounts {
  own: HookCounts;
  labels: Labels;
}

/** Hooks with equal labels are counted together. */
function sumByLabels(counts: readonly LabelledCounts[]): Map<Labels, HookStats> {
  const sums = new Map<Labels, HookStats>();
  for (const { own, labels } of counts) {
    const known = sums.get(labels);
    sums.set(labels, known ? addStats(known, own) : own);
  }
  return sums;
}

const NONE: Labels = {};

function missedSamples(): (counts: LabelledCounts) => Sample[] {
  const kept = new Map<string, { full: Labels; failed: Labels }>();
  return ({ own: { section, lost, errors } }) => {
    // the message of an exec stands for all process sensors
    const msg_op = MESSAGES[section ? hookMessage(section) : "exec"];
    const labels = kept.get(msg_op) ?? {
      full: { msg_op, error: "ENOSPC" },
      failed: { msg_op, error: "unknown" },
    };
    kept.set(msg_op, labels);
    return [
      [labels.full, lost],
      [labels.failed, errors],
    ];
  };
}

function missedProbes(): (counts: LabelledCounts) => Sample[] {
  const functions = new FunctionLabels();
  return ({ own, labels }) => {
    const { policy, hook, missed } = own;
    return policy ? [[functions.of(labels, policy, hook), missed]] : [];
  };
}

/** Labels of a policy and a function, one object for each, however hooks are attached to it. */
class FunctionLabels {
  readonly #byText = new PolicyLabels(KEPT_POLICIES);
  readonly #made = new WeakMap<Labels, Labels>();
  readonly #ofHooks = new WeakMap<Labels, Labels>();

  /** `labels` are those of the hook. */
  of(labels: Labels, policy: PolicyRef, hook: string): Labels {
    const known = this.#ofHooks.get(labels);
    if (known) return known;
    const named = this.#byText.of(policy, functionOf(hook));
    const own = this.#made.get(named) ?? { ...policyLabels(policy), attach: named.hook ?? "" };
    this.#made.set(named, own);
    this.#ofHooks.set(labels, own);
    return own;
  }
}

const ACTION_LABELS: Record<keyof ActionStats, Labels> = {
  post: { action: "post" },
  nopost: { action: "nopost" },
  signal: { action: "signal" },
  monitor_signal: { action: "monitor_signal" },
  override: { action: "override" },
  monitor_override: { action: "monitor_override" },
  count: { action: "count" },
};

/** One sample per action, for every selector: the largest of all metrics, so it is made as it is rendered. */
function registerActions(registry: Registry, counts: () => Promise<readonly LabelledCounts[]>): void {
  const name = "trigon_tracingpolicy_selector_actions_total";
  const help =
    "Actions of a policy's selectors; those with monitor_ would be taken in the mode enforce, and count is what would be posted.";
  const places = new SelectorLabels();
  scrapedCounter(registry, name, help, async () => allActions(await counts(), places));
}

function* allActions(counts: readonly LabelledCounts[], places: SelectorLabels): Generator<Sample> {
  for (const hook of counts) {
    for (const selector of hook.own.actions ?? []) yield* actionSamples(places.of(hook, selector), selector);
  }
}

/** One object of labels for each selector. */
class SelectorLabels {
  readonly #selectors = new WeakMap<Labels, Labels[]>();

  of(
    { labels: base, own: { index = 0 } }: LabelledCounts,
    { index: place, label = "" }: SelectorActions,
  ): Labels {
    const selectors = this.#selectors.get(base) ?? [];
    this.#selectors.set(base, selectors);
    selectors[place] ??= {
      ...base,
      hook_index: String(index),
      selector_index: String(place),
      selector_label: label,
    };
    return selectors[place];
  }
}

const ACTIONS = Object.entries(ACTION_LABELS) as [keyof ActionStats, Labels][];

function actionSamples(labels: Labels, counts: ActionStats): Sample[] {
  return ACTIONS.map(([action, label]): Sample => [labels, counts[action], label]);
}
