/** The lines of a metric in the text format, of which a scrape renders those that have changed since the last one. */

export type Labels = Readonly<Record<string, string>>;

/** Lines that are rendered, and kept, together. */
const BLOCK_LINES = 64;
const NEWLINE = "\n".charCodeAt(0);

/** Lines in a row, with what they were rendered from. */
class Block {
  readonly #labels: Labels[] = [];
  readonly #more: (Labels | undefined)[] = [];
  readonly #values: number[] = [];
  /** Where the values stand in the text. */
  readonly #valueAt: number[] = [];
  #text: Buffer | undefined;

  set(line: number, labels: Labels, value: number, more: Labels | undefined): void {
    const isKnown = this.#labels[line] === labels && this.#more[line] === more;
    if (isKnown && Object.is(this.#values[line], value)) return;
    this.#labels[line] = labels;
    this.#more[line] = more;
    this.#values[line] = value;
    if (!isKnown || !this.#overwrite(line, numberText(value))) this.#text = undefined;
  }

  /** The first `count` lines, in UTF-8. It changes with the next scrape. */
  text(name: string, count: number): Buffer {
    if (this.#values.length > count) this.#shorten(count);
    this.#text ??= this.#render(name);
    return this.#text;
  }

  /** False: the value has another length than the one before. */
  #overwrite(line: number, value: string): boolean {
    const text = this.#text;
    const start = this.#valueAt[line] ?? 0;
    if (!text || lengthOfValue(text, start) !== value.length) return false;
    for (let i = 0; i < value.length; i++) text[start + i] = value.charCodeAt(i);
    return true;
  }

  #render(name: string): Buffer {
    let bytes = 0;
    const lines = this.#values.map((number, line) => {
      const value = numberText(number);
      const text = `${name}${labelsText(this.#labels[line] as Labels, this.#more[line])} ${value}\n`;
      bytes += Buffer.byteLength(text);
      this.#valueAt[line] = bytes - value.length - 1;
      return text;
    });
    return Buffer.from(lines.join(""));
  }

  #shorten(count: number): void {
    for (const column of [this.#labels, this.#more, this.#values, this.#valueAt]) column.length = count;
    this.#text = undefined;
  }
}

function lengthOfValue(text: Buffer, start: number): number {
  let end = start;
  while (text[end] !== NEWLINE) end++;
  return end - start;
}

/** Takes the samples of a metric in their order, at each scrape again. Those that are as before cost a comparison. */
export class MetricLines {
  readonly #name: string;
  readonly #blocks: Block[] = [];
  #count = 0;

  constructor(name: string) {
    this.#name = name;
  }

  add(labels: Labels, value: number, more: Labels | undefined): void {
    const at = this.#count++;
    const index = Math.floor(at / BLOCK_LINES);
    this.#blocks[index] ??= new Block();
    this.#blocks[index].set(at % BLOCK_LINES, labels, value, more);
  }

  /** The lines that were added since the last call. */
  take(): Buffer[] {
    const count = this.#count;
    this.#count = 0;
    this.#blocks.length = Math.ceil(count / BLOCK_LINES);
    return this.#blocks.map((block, index) =>
      block.text(this.#name, Math.min(BLOCK_LINES, count - index * BLOCK_LINES)),
    );
  }
}

const texts = new WeakMap<Labels, string>();

function labelsText(labels: Labels, more: Labels | undefined): string {
  const text = partText(labels);
  const rest = more === undefined ? "" : partText(more);
  if (text === "" && rest === "") return "";
  return `{${text}${text !== "" && rest !== "" ? "," : ""}${rest}}`;
}

function partText(labels: Labels): string {
  const known = texts.get(labels);
  if (known !== undefined) return known;
  const made = Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeValue(value)}"`)
    .join(",");
  texts.set(labels, made);
  return made;
}

function escapeValue(text: string): string {
  return text.replace(/[\\\n"]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`));
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
