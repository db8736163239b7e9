/** How much of a node substrings take: they become a table that has a row for each beginning of one of them. */
import type { SelectorDef, TextComparison } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import type { Problems } from "../problems.ts";

/** Bytes before the rows: the column of each byte. */
const COLUMNS_BYTES = 256;
/** Bytes per entry of the table. */
const PLACE_BYTES = 4;

/** Bytes of the table of one filter; `anchored`: it has a row for what cannot match any more, and a column of the end. */
export function tableBytes(values: readonly string[], anchored = false): number {
  const texts = values.map((value) => Buffer.from(value).toString("latin1"));
  const beginnings = new Set(texts.flatMap((text) => [...text].map((_, n) => text.slice(0, n + 1))));
  const bytes = new Set(texts.flatMap((text) => [...text]));
  const more = anchored ? 1 : 0;
  const ends = anchored ? values.length : 0;
  return COLUMNS_BYTES + (beginnings.size + 1 + more + ends) * (bytes.size + 1 + more) * PLACE_BYTES;
}

/** Long texts are found in the same way. */
function needsTable({ how, values }: { how: TextComparison; values: readonly string[] }): boolean {
  const isLong = (value: string) => Buffer.byteLength(value) > HOOK_SPEC_LIMITS.pathBytes;
  return how.startsWith("substring") || (how !== "postfix" && values.some(isLong));
}

/** Reports what is more than a hook can have. */
export function checkSubstrings(selectors: readonly SelectorDef[], path: string, problems: Problems): void {
  const { substringFilters, substringTables, pathBytes } = HOOK_SPEC_LIMITS;
  const tables = selectors.flatMap(({ filters, returnFilters = [] }) =>
    [...filters, ...returnFilters].flatMap((filter) =>
      "how" in filter && needsTable(filter)
        ? [tableBytes(filter.values, !filter.how.startsWith("substring"))]
        : [],
    ),
  );
  if (tables.length > substringFilters) {
    const message = `have ${tables.length} filters with SubString, SubStringIgnCase or texts longer than ${pathBytes} bytes: at most ${substringFilters} are possible`;
    problems.error(path, message);
  }
  const sum = tables.reduce((total, bytes) => total + bytes, 0);
  if (sum > substringTables) {
    const kib = (bytes: number) => Math.ceil(bytes / 1024);
    problems.error(
      path,
      `have substrings whose tables take ${kib(sum)} KiB, at most ${kib(substringTables)} are possible: list fewer or shorter ones`,
    );
  }
}
