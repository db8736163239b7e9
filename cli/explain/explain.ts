/** `trigon explain`: what a policy would attach, filter and post, and at which price. */
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { ActionDef, HookDef, HookSpec, SelectorDef } from "../../crds/hook-spec.ts";
import { policyKey } from "../../crds/names.ts";
import { compileParsed } from "../../policy/compile.ts";
import { parsePolicies } from "../../policy/parse.ts";
import type { PolicyError } from "../../policy/problems.ts";
import { openEvents } from "../events/files.ts";
import { EXIT, type Streams } from "../streams.ts";
import { attachCost, attachPlan, filterCost, postCost } from "./costs.ts";
import { actionsText, argumentText, filterText, returnFilterText } from "./describe.ts";
import { type Counts, countPosts, type HookEvent, hookEvent } from "./replay.ts";

/** Explains each policy of a file; `eventsFile` is an export whose events are held against the selectors. */
export async function explain(
  file: string,
  eventsFile: string | undefined,
  streams: Streams,
): Promise<number> {
  const text = file === "-" ? await streams.stdin() : await readFile(file);
  const { policies, errors } = parsePolicies(text, file, "refuse");
  const results = policies.map(compileParsed);
  const wrong = [...errors, ...results.flatMap((result) => (result.ok ? [] : result.errors))];
  for (const { line = 1, column = 1, path, message } of wrong)
    streams.err(`${file}:${line}:${column}: ${path}: ${message}`);
  for (const result of results) {
    if (!result.ok) continue;
    const events = eventsFile === undefined ? undefined : await readEvents(eventsFile, result.spec.hooks);
    for (const line of explainPolicy(result.spec, result.warnings, events)) streams.out(line);
  }
  return wrong.length > 0 ? EXIT.failed : EXIT.ok;
}

/** Events by the hook that they are of. */
type EventsOfHooks = Map<HookDef, HookEvent[]>;

async function readEvents(file: string, hooks: readonly HookDef[]): Promise<EventsOfHooks> {
  const found: EventsOfHooks = new Map(hooks.map((hook) => [hook, []]));
  const input = openEvents(file);
  const failed = new Promise<never>((_resolve, reject) => input.once("error", reject));
  const read = async () => {
    for await (const line of createInterface({ input })) {
      const event = parseLine(line);
      for (const hook of event ? hooks : []) {
        const of = hookEvent(event as Record<string, unknown>, hook);
        if (of) found.get(hook)?.push(of);
      }
    }
  };
  await Promise.race([read(), failed]);
  return found;
}

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(line) as unknown;
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function explainPolicy(
  spec: HookSpec,
  warnings: readonly PolicyError[],
  events: EventsOfHooks | undefined,
): string[] {
  const isLost = ({ path }: PolicyError) => !spec.hooks.some((hook) => path.startsWith(hook.path));
  return [
    policyKey(spec.policy),
    `  runs on: ${spec.nodeSelector ? `nodes with ${JSON.stringify(spec.nodeSelector)}` : "every node"}`,
    ...(spec.mode === "monitor" ? ["  mode: monitor, actions are counted and not done"] : []),
    ...(spec.mode === "count" ? ["  mode: count, actions are not done and events are only counted"] : []),
    ...warnings.filter(isLost).map(({ path, message }) => `  warning: ${path}: ${message}`),
    ...spec.hooks.flatMap((hook) => explainHook(hook, spec.policy.name, warnings, events?.get(hook))),
  ];
}

function explainHook(
  hook: HookDef,
  policy: string,
  warnings: readonly PolicyError[],
  events: readonly HookEvent[] | undefined,
): string[] {
  const { first, otherwise, note } = attachPlan(hook);
  const own = warnings.filter(({ path }) => path.startsWith(hook.path));
  const counts = events && countPosts(events, hook, policy);
  return [
    `  ${hook.path} ${hook.call}${hook.syscall ? " (system call)" : ""}`,
    `    attached by: ${first}${otherwise === undefined ? "" : `; where the kernel refuses it: ${otherwise}`}`,
    ...(note === undefined ? [] : [`      ${note}`]),
    `    cost: ${attachCost(hook)}`,
    `    reads: ${hook.args.map(argumentText).join(", ") || "no argument"}${hook.returnArg ? `; returns ${hook.returnArg.type}, posted at return` : ""}`,
    ...explainSelectors(hook, events, counts),
    `    a posted event: ${postCost(hook)}`,
    ...(own.length > 0 ? own : [undefined]).map(
      (warning) => `    noise: ${warning?.message ?? noiseOf(hook)}`,
    ),
  ];
}

function noiseOf({ selectors }: HookDef): string {
  if (selectors.length === 0) return "each call is posted: no selector filters it";
  return selectors.every(isLimited)
    ? "at most what the rate limits let through"
    : "each call that a selector matches is posted; nothing is known against that";
}

/** What decides about posting: the actions at return, where there are some. */
function postingActions({ actions, returnActions = [] }: SelectorDef): readonly ActionDef[] {
  return returnActions.length > 0 ? returnActions : actions;
}

function isLimited(selector: SelectorDef): boolean {
  return postingActions(selector).some(
    (action) => action.action === "NoPost" || (action.action === "Post" && action.rateLimit !== undefined),
  );
}

function explainSelectors(
  hook: HookDef,
  events: readonly HookEvent[] | undefined,
  counts: readonly Counts[] | undefined,
): string[] {
  if (hook.selectors.length === 0) {
    return [
      "    filters: none, each call posts",
      ...(events ? [`      of ${events.length} events it would have posted ${events.length}`] : []),
    ];
  }
  return hook.selectors.flatMap((selector, index) => [
    ...explainSelector(selector, index, hook),
    ...countLines(events, counts?.[index], selector),
  ]);
}

function explainSelector(selector: SelectorDef, index: number, hook: HookDef): string[] {
  const { label, filters, returnFilters = [], actions, returnActions = [] } = selector;
  const atEntry =
    returnActions.length > 0 && actions.length > 0 ? [`      at entry: ${actionsText(actions)}`] : [];
  const order = index === 0 ? "" : ", if none before matches";
  const lines = [
    ...filters.map((filter) => `${filterText(filter, hook)} [${filterCost(filter)}]`),
    ...returnFilters.map((filter) => `at return: ${returnFilterText(filter, hook)} [${filterCost(filter)}]`),
  ];
  return [
    `    selectors[${index}]${label === undefined ? "" : ` "${label}"`}${order}: in the kernel, in this order, until one does not hold`,
    ...(lines.length > 0 ? lines : ["no filter: every call matches"]).map(
      (line, at) => `      ${at + 1}. ${line}`,
    ),
    ...atEntry,
    `      then: ${actionsText(postingActions(selector))}`,
  ];
}

function countLines(
  events: readonly HookEvent[] | undefined,
  counts: Counts | undefined,
  selector: SelectorDef,
): string[] {
  if (!events || !counts) return [];
  const isSilent = postingActions(selector).some(({ action }) => action === "NoPost");
  const limit = isLimited(selector) && !isSilent ? ", before its rate limit" : "";
  return [
    `      of ${events.length} events of this hook it would have ${isSilent ? "left out" : "posted"} ${counts.posted}${limit}`,
    ...[...counts.unknown].map(([why, count]) => `      of ${count} it cannot be said: ${why}`),
  ];
}
