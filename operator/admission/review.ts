/** An AdmissionReview of a policy and the answer to it. Pure. */
import { type Compile, type HookCall, joinRemarks, type Remark } from "../compiler/compiled.ts";

/** The answer to an AdmissionReview. */
export interface ReviewAnswer {
  apiVersion: "admission.k8s.io/v1";
  kind: "AdmissionReview";
  response: {
    uid: string;
    allowed: boolean;
    status?: { code: number; reason: string; message: string };
    warnings?: string[];
  };
}

/** Thrown for what is no AdmissionReview of a policy; the message names the field. */
export class ReviewError extends Error {
  override readonly name = "ReviewError";
}

/** What an answer is made from. */
export interface ReviewDeps {
  compile: Compile;
  /** What is known to be missing on nodes for these hooks. */
  missing(calls: readonly HookCall[]): readonly Remark[];
}

/** Kubernetes cuts warnings of more than 256 characters where there are many. */
const MAX_WARNING = 256;
const MAX_WARNINGS = 10;

/** Refuses what does not compile, with each field and reason; other remarks are warnings, which kubectl prints. */
export async function reviewPolicy(deps: ReviewDeps, body: unknown): Promise<ReviewAnswer> {
  const { uid, object, oldObject } = parseReview(body);
  const answer = (response: Omit<ReviewAnswer["response"], "uid">): ReviewAnswer => ({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    response: { uid, ...response },
  });
  if (!isNews(object, oldObject)) return answer({ allowed: true });
  const compiled = await deps.compile(object);
  if (!compiled.ok) {
    const message = joinRemarks(compiled.errors, compiled.moreErrors);
    return answer({ allowed: false, status: { code: 422, reason: "Invalid", message } });
  }
  const remarks = [...compiled.warnings, ...deps.missing(compiled.calls)];
  return answer({ allowed: true, ...(remarks.length > 0 && { warnings: warningsOf(remarks) }) });
}

interface Policy {
  metadata?: { deletionTimestamp?: string };
  spec?: unknown;
}

interface ReviewRequest {
  uid: string;
  object: Policy;
  oldObject: Policy | undefined;
}

function parseReview(body: unknown): ReviewRequest {
  const review = object("body", body);
  if (review.kind !== "AdmissionReview" || review.apiVersion !== "admission.k8s.io/v1")
    throw new ReviewError(
      `apiVersion, kind: expected admission.k8s.io/v1 AdmissionReview, got ${show(review.apiVersion)} ${show(review.kind)}`,
    );
  const request = object("request", review.request);
  if (typeof request.uid !== "string" || request.uid === "")
    throw new ReviewError("request.uid: expected a string");
  const policy = object("request.object", request.object) as Policy;
  const old = request.oldObject ?? undefined;
  return {
    uid: request.uid,
    object: policy,
    oldObject: old === undefined ? undefined : (object("request.oldObject", old) as Policy),
  };
}

function object(path: string, value: unknown): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new ReviewError(`${path}: expected an object, got ${show(value)}`);
}

function show(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 60) ?? "nothing";
}

/** A policy that was there before the webhook must be able to go, and to get labels and finalizers. */
function isNews({ metadata, spec }: Policy, old: Policy | undefined): boolean {
  if (metadata?.deletionTimestamp !== undefined) return false;
  return old === undefined || JSON.stringify(spec) !== JSON.stringify(old.spec);
}

function warningsOf(remarks: readonly Remark[]): string[] {
  const texts = remarks.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
  const shown = texts.slice(0, MAX_WARNINGS).map(cut);
  const rest = texts.length - shown.length;
  return rest > 0 ? [...shown, `and ${rest} more`] : shown;
}

function cut(text: string): string {
  return text.length <= MAX_WARNING ? text : `${text.slice(0, MAX_WARNING - 3)}...`;
}
