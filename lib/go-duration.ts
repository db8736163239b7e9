/** Durations as Go writes and reads them: 1h30m, 90s, 0. Pure. */

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** In milliseconds; undefined for a text that is none. */
export function parseGoDuration(text: string): number | undefined {
  if (text === "0") return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (text === "" || parts.map(([part]) => part).join("") !== text) return undefined;
  return parts.reduce((sum, [, digits, unit = ""]) => sum + Number(digits) * (UNITS_MS[unit] ?? 0), 0);
}

/** 1h30m0s, 90ms, 0s. */
export function goDurationText(ms: number): string {
  if (ms > 0 && ms < 1_000) return `${ms}ms`;
  const minutes = Math.floor(ms / 60_000);
  const hours = Math.floor(minutes / 60);
  const seconds = (ms - minutes * 60_000) / 1_000;
  return `${hours > 0 ? `${hours}h` : ""}${minutes > 0 ? `${minutes % 60}m` : ""}${seconds}s`;
}
