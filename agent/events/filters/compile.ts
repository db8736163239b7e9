/** Filters become one function over events; what is not filtered costs nothing. */
import type { EventType } from "../../metrics/event-metrics.ts";
import type { PodContext } from "../../pods/pod-context.ts";
import type { Image, ProcessFacts } from "../../process/image.ts";
import type { OutputEvent } from "../event.ts";
import type { EventFilter } from "../outputs.ts";
import { isProbe } from "../process-fields.ts";
import { EVENT_TYPES } from "./event-types.ts";
import { type CapabilityFilter, type Filter, FilterError } from "./filter.ts";
import { capabilitySet, labelSelectors, type MaskTest, patterns, type TextTest } from "./matchers.ts";

/** Compiles a CEL expression; throws an error that says what is wrong with it. */
export type CelCompiler = (expression: string) => EventFilter;

/**
 * An event passes if one filter of the allow list matches, or the list is empty, and none of the deny list does.
 * Undefined: every event passes. Throws FilterError.
 */
export function compileFilters(
  allow: readonly Filter[],
  deny: readonly Filter[],
  compileCel: CelCompiler,
): EventFilter | undefined {
  const allowed = allow.map((filter, index) => compileFilter(filter, `allow_list[${index}]`, compileCel));
  const denied = deny.map((filter, index) => compileFilter(filter, `deny_list[${index}]`, compileCel));
  if (allowed.length === 0 && denied.length === 0) return undefined;
  return (event) =>
    (allowed.length === 0 || allowed.some((matches) => matches(event))) &&
    !denied.some((matches) => matches(event));
}

/** Whether a filter needs a compiler for CEL, which is loaded only then. */
export function usesCel(filters: readonly Filter[]): boolean {
  return filters.some(({ cel_expression = [] }) => cel_expression.length > 0);
}

function compileFilter(filter: Filter, path: string, compileCel: CelCompiler): EventFilter {
  const tests = Object.entries(filter).flatMap(([name, value]) => {
    const make = FIELDS[name as keyof Filter] as Maker | undefined;
    if (!make) throw new FilterError(`${path}.${name}`, "is no field of a filter");
    if (value === undefined || (Array.isArray(value) && value.length === 0)) return [];
    return make(value as never, `${path}.${name}`, compileCel) ?? [];
  });
  return (event) => tests.every((matches) => matches(event));
}

/** Undefined: the value filters nothing. */
type Maker<T = never> = (value: T, path: string, compileCel: CelCompiler) => EventFilter | undefined;

const FIELDS: { [K in keyof Filter]-?: Maker<NonNullable<Filter[K]>> } = {
  binary_regex: textFilter(({ image }) => image.facts.binary),
  arguments_regex: textFilter(({ image }) => image.facts.arguments),
  parent_binary_regex: textFilter(({ image }) => image.parent?.facts.binary),
  parent_arguments_regex: textFilter(({ image }) => image.parent?.facts.arguments),
  ancestor_binary_regex: (texts, path) => ancestorFilter(patterns(texts, path)),
  namespace: (names) => {
    const wanted = new Set(names);
    return ({ image }) => wanted.has(image.pod?.namespace ?? "");
  },
  namespace_regex: podFilter((pod) => pod.namespace),
  pod_regex: podFilter((pod) => pod.name),
  container_name_regex: podFilter((pod) => pod.container.name),
  container_id: textFilter(({ image }) => dockerOf(image.facts)),
  labels: (texts, path) => {
    const test = labelSelectors(texts, path);
    return ({ image }) => image.pod !== undefined && test(image.pod.labels);
  },
  health_check: (wanted) => (wanted ? ({ image }) => isHealthCheck(image) : undefined),
  in_init_tree:
    (wanted) =>
    ({ image }) =>
      image.facts.inInitTree === wanted,
  pid: (pids) => {
    const wanted = new Set(pids);
    return ({ image }) => wanted.has(image.pid);
  },
  pid_set: (pids) => descendantFilter(new Set(pids)),
  event_set: (types, path) => {
    const wanted = new Set(types.map((type, index) => eventTypeOf(type, `${path}[${index}]`)));
    return (event) => wanted.has(typeOf(event));
  },
  policy_names: (names) => {
    const wanted = new Set(names);
    return (event) => event.kind === "hook" && wanted.has(event.hook.policy.name);
  },
  capabilities: (filter, path) => capabilityFilter(filter, path),
  cel_expression: (texts, path, compileCel) => {
    const tests = texts.map((text, index) => compiled(compileCel, text, `${path}[${index}]`));
    return (event) => tests.some((matches) => matches(event));
  },
};

/** Absent texts match as empty ones. */
function textFilter(read: (event: OutputEvent) => string | undefined): Maker<string[]> {
  return (texts, path) => {
    const test = patterns(texts, path);
    return (event) => test(read(event) ?? "");
  };
}

/** Processes outside of pods do not match. */
function podFilter(read: (pod: PodContext) => string | undefined): Maker<string[]> {
  return (texts, path) => {
    const test = patterns(texts, path);
    return ({ image: { pod } }) => pod !== undefined && test(read(pod) ?? "");
  };
}

/** Ancestors are what lies beyond the parent. */
function ancestorFilter(test: TextTest): EventFilter {
  return ({ image }) => {
    for (let one = image.parent?.parent; one !== undefined; one = one.parent) {
      if (test(one.facts.binary)) return true;
    }
    return false;
  };
}

/** A process is remembered as long as it lives: its parents may be forgotten earlier. */
function descendantFilter(pids: ReadonlySet<number>): EventFilter {
  const known = new WeakMap<Image, boolean>();
  const belongs = (image: Image): boolean => {
    const before = known.get(image);
    if (before !== undefined) return before;
    const found = pids.has(image.pid) || (image.parent !== undefined && belongs(image.parent));
    known.set(image, found);
    return found;
  };
  return ({ image }) => belongs(image);
}

/** As long as `docker` in events. */
function dockerOf({ container }: ProcessFacts): string | undefined {
  return container?.id.slice(0, 31);
}

function isHealthCheck({ pod, facts }: Image): boolean {
  return pod !== undefined && isProbe(pod.container.probeCommands, facts);
}

function typeOf(event: OutputEvent): EventType {
  if (event.kind === "hook") return event.hook.type;
  return event.kind === "exec" ? "PROCESS_EXEC" : "PROCESS_EXIT";
}

function eventTypeOf(type: string | number, path: string): string {
  const name = typeof type === "string" ? type : EVENT_TYPES.get(type);
  if (name !== undefined && [...EVENT_TYPES.values()].includes(name)) return name;
  throw new FilterError(path, `"${type}" is no event type: ${[...EVENT_TYPES.values()].join(", ")}`);
}

/** Processes whose credentials are not known, or not kept, do not match. */
function capabilityFilter(filter: CapabilityFilter, path: string): EventFilter {
  const tests: [set: "permitted" | "effective" | "inheritable", test: MaskTest][] = Object.entries(
    filter,
  ).map(([set, conditions]) => [set as keyof CapabilityFilter, capabilitySet(conditions, `${path}.${set}`)]);
  return ({ image: { facts } }) => {
    const { credentials } = facts;
    return credentials !== undefined && tests.every(([set, test]) => test(credentials[set]));
  };
}

function compiled(compileCel: CelCompiler, text: string, path: string): EventFilter {
  try {
    return compileCel(text);
  } catch (error) {
    throw new FilterError(path, `"${text}" is no CEL expression: ${(error as Error).message}`);
  }
}
