/** Why a hook cannot be attached, in the words of its status. */
import type { HookReason } from "../../crds/conditions.ts";

/** Carries the stable reason of a refusal beside its message. */
export class HookError extends Error {
  override readonly name = "HookError";
  readonly reason: HookReason;

  constructor(reason: HookReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
