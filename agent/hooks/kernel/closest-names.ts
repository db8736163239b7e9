/** Suggests what was meant by a name that does not exist. */

const MAX_DISTANCE = 3;
/** Of what was meant, the beginning or the end is right: comparing with all of a kernel's functions takes seconds. */
const SURE_START = 3;
const SURE_END = 4;

/** At most `limit` names within three edits that begin or end as `name` does, nearest first. */
export function closestNames(name: string, candidates: Iterable<string>, limit = 3): string[] {
  const found: { candidate: string; distance: number }[] = [];
  const start = name.slice(0, SURE_START);
  const end = name.slice(-SURE_END);
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - name.length) > MAX_DISTANCE) continue;
    if (!candidate.startsWith(start) && !candidate.endsWith(end)) continue;
    const distance = editDistance(name, candidate, MAX_DISTANCE);
    if (distance <= MAX_DISTANCE) found.push({ candidate, distance });
  }
  found.sort((a, b) => a.distance - b.distance || a.candidate.localeCompare(b.candidate));
  return found.slice(0, limit).map(({ candidate }) => candidate);
}

/** "; close to it: A, B" for the end of a message; empty where nothing is. */
export function closeTo(name: string, candidates: Iterable<string>): string {
  const close = closestNames(name, candidates);
  return close.length === 0 ? "" : `; close to it: ${close.join(", ")}`;
}

/** Levenshtein distance; anything above `bound` where it is larger than that. */
export function editDistance(a: string, b: string, bound: number): number {
  let above = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    if (Math.min(...row) > bound) return bound + 1;
    above = row;
  }
  return above[b.length] ?? 0;
}
