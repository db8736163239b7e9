/** Short names for the parts of a policy, taken from the generated types. */
import type { TracingPolicy } from "../crds/tracingpolicy-v1alpha1.gen.ts";
import type { TracingPolicyNamespaced } from "../crds/tracingpolicynamespaced-v1alpha1.gen.ts";

/** A policy of either kind with defaults applied, its schema checked. */
export type Policy = TracingPolicy | TracingPolicyNamespaced;
/** What a policy asks for. */
export type PolicySpec = TracingPolicy["spec"];
/** An entry of kprobes or fentries. */
export type FunctionProbe = Item<"kprobes">;
/** An entry of tracepoints. */
export type TracepointProbe = Item<"tracepoints">;
/** An entry of lsmhooks. */
export type LsmProbe = Item<"lsmhooks">;
/** An entry of args, data or returnArg. */
export type ProbeArgument = Elements<FunctionProbe["args"]>;
/** An entry of lists. */
export type PolicyList = Item<"lists">;
/** A selector, or a macro of one. */
export type Selector = Elements<FunctionProbe["selectors"]>;
/** An entry of matchPIDs. */
export type PidMatch = Elements<Selector["matchPIDs"]>;
/** An entry of matchNamespaces. */
export type NamespaceMatch = Elements<Selector["matchNamespaces"]>;
/** An entry of matchNamespaceChanges. */
export type NamespaceChangeMatch = Elements<Selector["matchNamespaceChanges"]>;
/** An entry of matchCapabilities or matchCapabilityChanges. */
export type CapabilityMatch = Elements<Selector["matchCapabilities"]>;
/** An entry of matchCurrentCred. */
export type CurrentCredMatch = Elements<Selector["matchCurrentCred"]>;
/** An entry of matchCredChanges. */
export type CredChangeMatch = Elements<Selector["matchCredChanges"]>;
/** An entry of matchBinaries or matchParentBinaries. */
export type BinaryMatch = Elements<Selector["matchBinaries"]>;
/** An entry of matchArgs, matchData or matchReturnArgs. */
export type ArgumentMatch = Elements<Selector["matchArgs"]>;
/** An entry of matchActions or matchReturnActions. */
export type Action = Elements<Selector["matchActions"]>;

type Elements<T> = NonNullable<T> extends (infer E)[] ? E : never;
type Item<K extends keyof PolicySpec> = Elements<PolicySpec[K]>;
