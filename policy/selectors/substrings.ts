/** How much of a node substrings take: they become a table that has a row for each beginning of one of them. */
import type { SelectorDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import type { Problems } from "../problems.ts";

/** Bytes before the rows: the column of each byte. */
const COLUMNS_BYTES = 256;
/** Bytes per entry of the table. */
const PLACE_BYTES = 4;

/** Bytes of the table of one filter. */
export function tableBytes(values: readonly string[]): number {
  const texts = values.map((value) => Buffer.from(value).toString("latin1"));
  const beginnings = new Set(texts.flatMap((text) => [...text].map((_, n) => text.slice(0, n + 1))));
  const bytes = new Set(texts.flatMap((text) => [...text]));
  return COLUMNS_BYTES + (beginnings.size + 1) * (bytes.size + 1) * PLACE_BYTES;
}

/** Reports what is more than a hook can have. */
export function checkSubstrings(selectors: readonly SelectorDef[], path: string, problems: Problems): void {
  const { substringFilters, substringTables } = HOOK_SPEC_LIMITS;
  const tables = selectors.flatMap(({ filters }) =>
    filters.flatMap((filter) =>
      filter.match === "arg" && filter.compare === "text" && filter.how.startsWith("substring")
        ? [tableBytes(filter.values)]
        : [],
    ),
  );
  if (tables.length > substringFilters) {
    const message = `have ${tables.length} filters with SubString or SubStringIgnCase: at most ${substringFilters} are possible`;
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
