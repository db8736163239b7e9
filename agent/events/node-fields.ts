/** What events show of their node and cluster, beside the node's name. */

/** Encoders notice when `labels` is replaced; the object itself must not be changed. */
export interface NodeFields {
  readonly clusterName?: string;
  labels?: Readonly<Record<string, string>> | undefined;
}
