/** Which workload a pod belongs to, from its owner references alone. */
import type { PodObject } from "./pod-object.ts";

/** The object that a user would recognise: a Deployment rather than its ReplicaSet. */
export interface Workload {
  name: string;
  kind: string;
}

/** Jobs of a CronJob end in the scheduled minute (or, before 1.21, second) since the epoch. */
const CRON_JOB = /^(.+)-\d{8,10}$/;

/** A pod without a controller is its own workload. */
export function podWorkload(pod: PodObject): Workload {
  const { name = "", ownerReferences = [], labels = {} } = pod.metadata;
  const owner = ownerReferences.find((reference) => reference.controller === true);
  if (owner === undefined) return { name, kind: "Pod" };

  const hash = labels["pod-template-hash"];
  if (owner.kind === "ReplicaSet" && hash && owner.name.endsWith(`-${hash}`)) {
    return { name: owner.name.slice(0, -hash.length - 1), kind: "Deployment" };
  }
  const cronJob = owner.kind === "Job" ? CRON_JOB.exec(owner.name)?.[1] : undefined;
  if (cronJob !== undefined) return { name: cronJob, kind: "CronJob" };
  return { name: owner.name, kind: owner.kind };
}
