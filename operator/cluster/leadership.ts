/** The loss of the lead as an error: it is no failure of what the write was for. */

/** Thrown instead of a write that the lease does not cover any more. */
export class NotLeadingError extends Error {
  constructor() {
    super("this replica does not lead any more");
  }
}

/** True if this error, or one that caused it, is that the lead was lost. */
export function isNotLeading(error: unknown): boolean {
  return error instanceof NotLeadingError || (error instanceof Error && isNotLeading(error.cause));
}
