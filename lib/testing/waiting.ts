/** Waiting in unit tests. */
import { vi } from "vitest";

/** Resolves when the check passes; rejects with the last error of the check after a long time. */
export function until(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 30_000, interval: 5 });
}
