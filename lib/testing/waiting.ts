/** Waiting in unit tests. */
import { vi } from "vitest";

/** Resolves when the check passes, however busy the machine is; its last error is the failure. */
export function until(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 30_000, interval: 5 });
}
