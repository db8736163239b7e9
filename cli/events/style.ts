/** Colours of the parts of a line; text from the system never reaches a terminal with control characters in it. */
import { styleText } from "node:util";

/** How each part of a line is shown. */
export type Style = Readonly<
  Record<"faint" | "place" | "binary" | "change" | "denied", (text: string) => string>
>;

const plain = (text: string) => text;

/** How each part of tetra's lines is shown. */
export type TetraStyle = Readonly<
  Record<"event" | "source" | "binary" | "detail" | "alarm" | "offset", (text: string) => string>
>;

/** tetra's colours. */
export const TETRA_COLOURED: TetraStyle = {
  event: colour("blue"),
  source: colour("green"),
  binary: colour("magenta"),
  detail: colour("cyan"),
  alarm: colour("red"),
  offset: colour("yellow"),
};

/** tetra's lines without colours. */
export const TETRA_PLAIN: TetraStyle = {
  event: plain,
  source: plain,
  binary: plain,
  detail: plain,
  alarm: plain,
  offset: plain,
};

/** No colours. */
export const PLAIN: Style = { faint: plain, place: plain, binary: plain, change: plain, denied: plain };

/** For terminals. */
export const COLOURED: Style = {
  faint: colour("dim"),
  place: colour("cyan"),
  binary: colour("bold"),
  change: colour("yellow"),
  denied: colour("red"),
};

function colour(name: Parameters<typeof styleText>[0]): (text: string) => string {
  return (text) => styleText(name, text, { validateStream: false });
}

/** Control characters, those that turn the direction of writing, and line separators. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** The text with \x1b, \u202e and so on in place of what a terminal would obey. */
export function visible(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.charCodeAt(0).toString(16);
    return code.length <= 2 ? `\\x${code.padStart(2, "0")}` : `\\u${code.padStart(4, "0")}`;
  });
}
