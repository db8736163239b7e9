/** Errors from the API server, with the fields that decisions need. */

import { type BackoffOptions, backoffMs } from "./backoff.ts";

/** The body of an error response. */
export interface KubeStatus {
  message?: string;
  reason?: string;
  code?: number;
  details?: { retryAfterSeconds?: number; causes?: { reason?: string; message?: string; field?: string }[] };
}

/** A response of the API server with a status of 400 or above. */
export class KubeError extends Error {
  override readonly name = "KubeError";
  /** HTTP status. */
  readonly status: number;
  /** Stable reason from the API: `NotFound`, `Conflict`, `Expired`, `Invalid` … */
  readonly reason: string;
  /** How long the server asks the client to wait. */
  readonly retryAfterMs: number | undefined;
  readonly causes: readonly string[];

  constructor(step: string, status: number, body: KubeStatus) {
    const reason = body.reason ?? (status === 410 ? "Gone" : "Unknown");
    super(`${step}: ${body.message ?? `status ${status}`} (${status} ${reason})`);
    this.status = status;
    this.reason = reason;
    const seconds = body.details?.retryAfterSeconds;
    this.retryAfterMs = seconds === undefined ? undefined : seconds * 1000;
    this.causes = body.details?.causes?.map((cause) => cause.reason ?? "") ?? [];
  }
}

/** An answer that says success and is none of Kubernetes: the page of a proxy, or another server at this address. */
class NotKubernetesError extends Error {
  constructor(step: string, answer: string) {
    const seen = JSON.stringify(answer.trim().slice(0, 100));
    super(
      `${step}: the answer is not a Kubernetes API server's: ${seen}; check the server's address, and proxies on the way`,
    );
  }
}

/** Parses the body of an answer. Throws NotKubernetesError unless it is JSON that `fits`. */
export function parseAnswer<T>(
  step: string,
  text: string,
  fits: (body: Partial<T>) => boolean = () => true,
): T {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null && fits(body as Partial<T>)) return body as T;
  } catch {
    // Not JSON: the text itself is shown, below.
  }
  throw new NotKubernetesError(step, text);
}

/**
 * Delay before the retry number `attempt` after this error. The API server asks all clients that it turns away to come
 * back after the same time, so the backoff with its random part is added: they must not come back at the same moment.
 */
export function retryDelayMs(
  error: unknown,
  backoff: BackoffOptions,
  attempt: number,
  random: () => number,
): number {
  const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
  return asked + backoffMs(backoff, attempt, random);
}

/** True for a response with this status. */
export function hasStatus(error: unknown, ...statuses: number[]): error is KubeError {
  return error instanceof KubeError && statuses.includes(error.status);
}

/** True when a new list is needed: the history was compacted, or etcd was restored to an older state than ours. */
export function isExpired(error: unknown): boolean {
  if (!(error instanceof KubeError)) return false;
  return error.status === 410 || error.causes.includes("ResourceVersionTooLarge");
}

/** True when a `test` of a JSON patch failed. An object that the schema refuses has the same status, but has causes. */
export function isFailedTest(error: unknown): boolean {
  return hasStatus(error, 422) && error.causes.length === 0;
}

/** Parses the body of an error response; if it is not JSON (HTML of a proxy), its beginning becomes the message. */
export function parseStatus(text: string): KubeStatus {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null) return body as KubeStatus;
  } catch {
    // Not JSON: the text itself is the message, below.
  }
  return text.trim() === "" ? {} : { message: text.trim().slice(0, 200) };
}

/** The body with the header that says when to try again: flow control answers 429 with the header alone. */
export function withRetryAfter(
  status: KubeStatus,
  headers: { "retry-after"?: string | undefined },
): KubeStatus {
  const seconds = Number(headers["retry-after"]);
  if (!(seconds > 0)) return status;
  return { ...status, details: { retryAfterSeconds: seconds, ...status.details } };
}
