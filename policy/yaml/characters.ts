/** Characters at which readers of YAML part ways: each is read as kubectl reads it, or refused where it stands. Pure. */
import type { PolicyError } from "../problems.ts";
import { codePoint } from "../suggest.ts";

/** Ends of lines in YAML 1.1, which kubectl reads, and characters like others in YAML 1.2. */
const LINE_ENDS_OF_1_1: Readonly<Record<string, string>> = {
  "\u0085": "a next line",
  "\u2028": "a line separator",
  "\u2029": "a paragraph separator",
};
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to find
const REFUSED = /[\u0085\u2028\u2029]|[\0-\x08\v\f\x0e-\x1f\x7f-\x84\x86-\x9f]/;

/** With line feeds for carriage returns that stand alone, as classic Macs wrote them, and without byte order marks. */
export function normalizeLines(text: string): string {
  return text.replace(/\r(?!\n)/g, "\n").replace(/^\ufeff+/gm, "");
}

/** The first character that some readers refuse or take for the end of a line; undefined where there is none. */
export function refusedCharacter(text: string): PolicyError | undefined {
  const offset = text.search(REFUSED);
  if (offset < 0) return undefined;
  const before = text.slice(0, offset).split("\n");
  const character = text.charAt(offset);
  const name = LINE_ENDS_OF_1_1[character];
  const message = name
    ? `has ${name} (${codePoint(character)}), where a line ends for kubectl and not for others: write a line feed or a space`
    : `has the control character ${codePoint(character)}, which YAML does not allow: take it out`;
  return { path: "", message, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}
