/** Clocks for tests. */
import { WallClock } from "../wall-clock.ts";

/** A clock that stands still until it is moved; boot was at WALL_AT_BOOT_MS. */
export class TestClock {
  nowMs = 1_000;
  stepMs = 0;

  bootTimeNs(): bigint {
    return BigInt(this.nowMs) * 1_000_000n;
  }

  wallMs(): number {
    return WALL_AT_BOOT_MS + this.nowMs + this.stepMs;
  }
}

/** 2026-11-20T10:00:00Z. */
const WALL_AT_BOOT_MS = Date.UTC(2026, 10, 20, 10, 0, 0);

/** Wall clock whose boot time zero is exactly WALL_AT_BOOT_MS. */
export function makeWallClock(clock: TestClock): WallClock {
  // a tick for the measurement: the millisecond begins exactly when it is first seen
  let reads = 0;
  const source = {
    bootTimeNs: () => clock.bootTimeNs(),
    wallMs: () => clock.wallMs() - (reads++ === 0 ? 1 : 0),
  };
  return new WallClock(source);
}
