/** Filters of events, as clients and flags write them: upstream's Filter message in the JSON form of protobuf. */

/** Matches an event if each field that is set matches; a list matches if one of its entries does. */
export interface Filter {
  binary_regex?: string[];
  namespace?: string[];
  health_check?: boolean;
  pid?: number[];
  pid_set?: number[];
  event_set?: (string | number)[];
  pod_regex?: string[];
  arguments_regex?: string[];
  labels?: string[];
  policy_names?: string[];
  capabilities?: CapabilityFilter;
  parent_binary_regex?: string[];
  cel_expression?: string[];
  parent_arguments_regex?: string[];
  container_id?: string[];
  in_init_tree?: boolean;
  ancestor_binary_regex?: string[];
  container_name_regex?: string[];
  namespace_regex?: string[];
}

/** Conditions on the capabilities of the process, all of which must hold. */
export type CapabilityFilter = Partial<
  Record<"permitted" | "effective" | "inheritable", CapabilitySetFilter>
>;

/** Conditions on one set, all of which must hold. */
export type CapabilitySetFilter = Partial<Record<"any" | "all" | "exactly" | "none", (string | number)[]>>;

/** Thrown for a filter that cannot be used; the message begins with its place: `allow_list[0].pod_regex[1]`. */
export class FilterError extends Error {
  override readonly name = "FilterError";

  constructor(path: string, message: string) {
    super(`${path}: ${message}`);
  }
}
