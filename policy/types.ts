/** Short names for the parts of a policy, taken from the generated types. */
import type { TracingPolicy } from "../crds/tracingpolicy-v1alpha1.gen.ts";
import type { TracingPolicyNamespaced } from "../crds/tracingpolicynamespaced-v1alpha1.gen.ts";

/** A policy of either kind with defaults applied, its schema checked. */
export type Policy = TracingPolicy | TracingPolicyNamespaced;
/** What a policy asks for. */
export type PolicySpec = TracingPolicy["spec"];
/** An entry of kprobes or fentries. */
export type FunctionProbe = Item<"kprobes">;
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
/** An entry of matchBinaries. */
export type BinaryMatch = Elements<Selector["matchBinaries"]>;
/** An entry of matchArgs. */
export type ArgumentMatch = Elements<Selector["matchArgs"]>;
/** An entry of matchActions. */
export type Action = Elements<Selector["matchActions"]>;

type Elements<T> = NonNullable<T> extends (infer E)[] ? E : never;
type Item<K extends keyof PolicySpec> = Elements<PolicySpec[K]>;
