/** Kubernetes resources and their URLs, and the metadata that all objects have. */

/** One resource of the API; `group` is empty for the core group. */
export interface Resource {
  group: string;
  version: string;
  plural: string;
  kind: string;
  namespaced: boolean;
}

/** The part of an object's metadata that is used here. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
}

/** A reference to the object whose deletion also deletes this one. */
export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
}

/** Any object. */
export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
}

/** Identifies an object of a resource. */
export interface ObjectName {
  namespace?: string;
  name: string;
}

export const CONFIG_MAPS: Resource = core("configmaps", "ConfigMap", true);
export const PODS: Resource = core("pods", "Pod", true);
export const NODES: Resource = core("nodes", "Node", false);

/** `v1` or `GROUP/VERSION`. */
export function apiVersion(resource: Resource): string {
  return resource.group === "" ? resource.version : `${resource.group}/${resource.version}`;
}

/** URL path of an object, or of a collection if no name is given; without a namespace, of all namespaces. */
export function resourcePath(
  resource: Resource,
  at: Partial<ObjectName> & { subresource?: string } = {},
): string {
  const root = resource.group === "" ? `/api/${resource.version}` : `/apis/${apiVersion(resource)}`;
  const namespace =
    resource.namespaced && at.namespace !== undefined
      ? `/namespaces/${encodeURIComponent(at.namespace)}`
      : "";
  const name = at.name === undefined ? "" : `/${encodeURIComponent(at.name)}`;
  const subresource = at.subresource === undefined ? "" : `/${at.subresource}`;
  return `${root}${namespace}/${resource.plural}${name}${subresource}`;
}

/** `NAMESPACE/NAME`, or `NAME` for cluster-scoped objects: the key of stores and queues. */
export function objectKey(meta: ObjectName): string {
  return meta.namespace === undefined ? meta.name : `${meta.namespace}/${meta.name}`;
}

function core(plural: string, kind: string, namespaced: boolean): Resource {
  return { group: "", version: "v1", plural, kind, namespaced };
}
