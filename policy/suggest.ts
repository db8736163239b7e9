/** Suggests what was meant by a name that does not exist. */

/** At most `count` of the names within a few edits of what was written, nearest first; case makes no difference. */
export function closestNames(written: string, names: Iterable<string>, count: number): string[] {
  const wanted = written.toLowerCase();
  const bound = Math.max(1, Math.min(3, Math.floor(written.length / 3)));
  const near: { name: string; distance: number }[] = [];
  for (const name of names) {
    if (Math.abs(name.length - wanted.length) > bound) continue;
    const distance = editDistance(wanted, name.toLowerCase(), bound);
    if (distance <= bound) near.push({ name, distance });
  }
  near.sort((a, b) => a.distance - b.distance);
  return near.slice(0, count).map(({ name }) => name);
}

/** `: did you mean "A"?`, with up to `count` names; nothing when none is near. */
export function didYouMean(written: string, names: Iterable<string>, count = 1): string {
  const near = closestNames(written, names, count).map((name) => JSON.stringify(name));
  const last = near.pop();
  if (last === undefined) return "";
  return `: did you mean ${near.length > 0 ? `${near.join(", ")} or ` : ""}${last}?`;
}

/** What the user wrote, in quotes, cut when long; for anything but a string or a number what it is. */
export function quote(written: unknown): string {
  if (typeof written === "object" && written !== null) return Array.isArray(written) ? "a list" : "an object";
  const text = typeof written === "string" ? quoteVisibly(written) : String(written);
  return text.length <= 80 ? text : `${text.slice(0, 76)}..."`;
}

/** In quotes, with escapes for what cannot be seen or looks like a space. */
export function quoteVisibly(text: string): string {
  return JSON.stringify(text).replace(/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, escapeOf);
}

/** `U+00A0`. */
export function codePoint(character: string): string {
  return `U+${hexadecimal(character).toUpperCase()}`;
}

function escapeOf(character: string): string {
  return character
    .split("")
    .map((unit) => `\\u${hexadecimal(unit)}`)
    .join("");
}

function hexadecimal(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16).padStart(4, "0");
}

type Row = readonly number[];

/**
 * Insertions, deletions, replacements and swaps of neighbours that turn one word into the other; more than `bound`
 * where there are more, found without comparing to the end: a kernel has 200,000 functions.
 */
export function editDistance(a: string, b: string, bound: number): number {
  let beforePrevious: Row = [];
  let previous: Row = Array.from({ length: b.length + 1 }, (_, j) => j);
  let isPreviousFar = false;
  for (let i = 1; i <= a.length; i++) {
    const row = nextRow(a, b, i, bound, previous, beforePrevious);
    const isFar = row.every((distance) => distance > bound);
    if (isFar && isPreviousFar) return bound + 1; // a swap goes back two rows
    [beforePrevious, previous, isPreviousFar] = [previous, row, isFar];
  }
  return at(previous, b.length);
}

/** Distances from the first `i` letters of a to each beginning of b. Those further than `bound` are not computed. */
function nextRow(a: string, b: string, i: number, bound: number, previous: Row, beforePrevious: Row): Row {
  const row = new Array<number>(b.length + 1).fill(bound + 1);
  row[0] = i;
  for (let j = Math.max(1, i - bound); j <= Math.min(b.length, i + bound); j++) {
    const same = a[i - 1] === b[j - 1] ? 0 : 1;
    const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
    const edited = Math.min(at(row, j - 1) + 1, at(previous, j) + 1, at(previous, j - 1) + same);
    row[j] = isSwap ? Math.min(edited, at(beforePrevious, j - 2) + 1) : edited;
  }
  return row;
}

function at(row: Row, index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
