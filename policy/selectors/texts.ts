/** Comparisons of texts: strings, buffers and paths. */
import { type ArgType, traitsOf } from "../../crds/argument-types.ts";
import type { TextComparison } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { child } from "../problems.ts";
import { quote } from "../suggest.ts";
import { linkOf, warnOfSpelling } from "./paths.ts";
import { unique } from "./process.ts";
import type { Where } from "./values.ts";

const { pathBytes, postfixBytes, substringBytes, textValueBytes } = HOOK_SPEC_LIMITS;

/** What each operator compares, and the most bytes of a value. */
const COMPARISONS: Record<string, { how: TextComparison; most: number }> = {
  Equal: { how: "equal", most: textValueBytes },
  NotEqual: { how: "equal", most: textValueBytes },
  Prefix: { how: "prefix", most: textValueBytes },
  NotPrefix: { how: "prefix", most: textValueBytes },
  Postfix: { how: "postfix", most: postfixBytes },
  NotPostfix: { how: "postfix", most: postfixBytes },
  SubString: { how: "substring", most: substringBytes },
  SubStringIgnCase: { how: "substringIgnoreCase", most: substringBytes },
};

/** Buffers hold any bytes; a string of the kernel ends at its first NUL. */
function isBuffer(type: ArgType): boolean {
  return traitsOf(type).family === "buffer";
}

/** The comparison; undefined when an error was reported. */
export function textFilter(
  type: ArgType,
  values: string[],
  where: Where,
): { negate: boolean; compare: "text"; how: TextComparison; values: string[] } | undefined {
  const { operator, path, problems } = where;
  const comparison = COMPARISONS[operator];
  if (!comparison) return undefined;
  const { how, most } = comparison;
  if (values.length > HOOK_SPEC_LIMITS.texts) {
    problems.error(path, `has ${values.length} entries: at most ${HOOK_SPEC_LIMITS.texts} are allowed`);
  }
  const texts = values.map((value) => (isBuffer(type) ? value : withoutEnd(value, how)));
  const failed = texts.map((text, index) => {
    const error = textError(text, how, most, type);
    if (error !== undefined) problems.error(child(path, index), error);
    else warnOfPath(text, how, type, child(path, index), { ...where, values: texts });
    return error !== undefined;
  });
  if (failed.includes(true)) return undefined;
  const compared = how === "substringIgnoreCase" ? texts.map(lowerCase) : texts;
  return { negate: operator.startsWith("Not"), compare: "text", how, values: unique(compared) };
}

/** Upstream's strings include their NUL, so its policies write it at the end of a value. */
function withoutEnd(value: string, how: TextComparison): string {
  return how === "equal" || how === "postfix" ? value.replace(/\0$/, "") : value;
}

function textError(text: string, how: TextComparison, most: number, type: ArgType): string | undefined {
  if (text === "") return "is empty: write a text";
  if (text.includes("\0") && (!isBuffer(type) || how.startsWith("substring")))
    return "contains a NUL character: texts end there";
  const limit = isBuffer(type) ? Math.min(most, pathBytes) : most;
  if (Buffer.byteLength(text) > limit) return `is longer than ${limit} bytes`;
  return undefined;
}

/** Names without a file system, such as pipe:[1], have a colon. */
function warnOfPath(
  text: string,
  how: TextComparison,
  type: ArgType,
  path: string,
  { problems, values }: Where & { values: readonly string[] },
): void {
  const traits = traitsOf(type);
  if (traits.family !== "path" || !traits.isFull) return;
  warnOfSpelling(text, how, path, problems);
  if (how !== "equal" && how !== "prefix") return;
  if (!text.startsWith("/") && !text.includes(":"))
    problems.warn(path, `${quote(text)} does not start with "/": files are compared by their full path`);
  const link = linkOf(text);
  if (!link || link.files.some((file) => values.includes(file))) return;
  problems.warn(
    path,
    `${link.fact} on most images, and a file is compared by the path that links lead to: write ${link.files.join(" or ")}`,
  );
}

/** Letters A to Z only: the kernel's side knows no others. */
function lowerCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
