/** What the API server says when it refuses, as an error with the parts that decisions need. */

/** The body of a refused request. */
export interface KubeStatus {
  message?: string;
  reason?: string;
  code?: number;
  details?: { retryAfterSeconds?: number; causes?: { reason?: string; message?: string; field?: string }[] };
}

/** An answer of the API server with a status of 400 or above. */
export class KubeError extends Error {
  override readonly name = "KubeError";
  /** HTTP status. */
  readonly status: number;
  /** Stable word of the API: `NotFound`, `Conflict`, `Expired`, `Invalid` … */
  readonly reason: string;
  /** How long the server asks us to wait. */
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

/** True for an answer with this status. */
export function hasStatus(error: unknown, ...statuses: number[]): error is KubeError {
  return error instanceof KubeError && statuses.includes(error.status);
}

/** True when only a new list helps: the history is compacted, or the server knows less than we do (restored etcd). */
export function isExpired(error: unknown): boolean {
  if (!(error instanceof KubeError)) return false;
  return error.status === 410 || error.causes.includes("ResourceVersionTooLarge");
}

/** True when a `test` of a JSON patch was not met; an object that the schema refuses has causes. */
export function isFailedTest(error: unknown): boolean {
  return hasStatus(error, 422) && error.causes.length === 0;
}

/** Parses the body of a refused request; a proxy's HTML becomes a message, too. */
export function parseStatus(text: string): KubeStatus {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null) return body as KubeStatus;
  } catch {
    // Not JSON: said below as it came.
  }
  return text.trim() === "" ? {} : { message: text.trim().slice(0, 200) };
}
