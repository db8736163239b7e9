/** Why a hook cannot be attached: a stable reason, and what the kernel refused as data. */
import type { HookReason } from "../../crds/conditions.ts";
import { type BpfError, isBpfError } from "../bpf/binding.ts";

/** One refusal by the kernel or libbpf. Decisions are made from this, never from a message. */
export type Refusal = Pick<BpfError, "code" | "step" | "subject" | "transient">;

/** Carries the stable reason of a failure, and the refusals that led to it, beside its message. */
export class HookError extends Error {
  override readonly name = "HookError";
  readonly reason: HookReason;
  readonly refusals: readonly Refusal[];

  constructor(reason: HookReason, message: string, options: { cause?: unknown; refusals?: Refusal[] } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.reason = reason;
    this.refusals = options.refusals ?? refusalsOf(options.cause);
  }
}

/** The refusals that an error and its causes carry; empty if they carry none. */
export function refusalsOf(error: unknown): readonly Refusal[] {
  if (error instanceof HookError) return error.refusals;
  if (!isBpfError(error)) return error instanceof Error && error.cause ? refusalsOf(error.cause) : [];
  const { code, step, subject, transient } = error;
  return [{ code, step, subject, transient }];
}
