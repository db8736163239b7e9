/** Finds the word that was meant. */

/** The closest of the words, or undefined when none is near. */
export function closest(written: string, words: Iterable<string>): string | undefined {
  const wanted = written.toLowerCase();
  const limit = Math.max(1, Math.min(3, Math.floor(written.length / 3)));
  let best: { word: string; distance: number } | undefined;
  for (const word of words) {
    if (Math.abs(word.length - wanted.length) > limit) continue;
    const distance = editDistance(wanted, word.toLowerCase());
    if (distance <= limit && (best === undefined || distance < best.distance)) best = { word, distance };
  }
  return best?.word;
}

/** `: did you mean "X"?`, or nothing. */
export function didYouMean(written: string, words: Iterable<string>): string {
  const word = closest(written, words);
  return word === undefined ? "" : `: did you mean ${JSON.stringify(word)}?`;
}

/** What the user wrote, in quotes, cut when long; for anything but a text or a number its kind. */
export function quote(written: unknown): string {
  if (typeof written === "object" && written !== null) return Array.isArray(written) ? "a list" : "an object";
  const text = typeof written === "string" ? JSON.stringify(written) : String(written);
  return text.length <= 80 ? text : `${text.slice(0, 76)}..."`;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one word into the other. */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(at(row, j - 1) + 1, at(previous, j) + 1, at(previous, j - 1) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, at(beforePrevious, j - 2) + 1);
      }
      row.push(least);
    }
    beforePrevious = previous;
    previous = row;
  }
  return at(previous, b.length);
}

function at(row: number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
