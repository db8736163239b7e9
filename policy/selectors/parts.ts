/** A selector with its macros merged in, each part with the place that it was written at. */
import { child, type Problems } from "../problems.ts";
import { didYouMean, quote } from "../suggest.ts";
import type { PolicySpec, Selector } from "../types.ts";

/** Names of what a selector can hold, macros excluded. */
export type PartName = Exclude<keyof Selector, "macros">;

/** The parts of a selector. */
export class Parts {
  private readonly parts = new Map<string, { value: unknown; path: string }>();

  /** Value of a part, and where it stands. */
  get<K extends PartName>(name: K): { value: NonNullable<Selector[K]>; path: string } | undefined {
    return this.parts.get(name) as { value: NonNullable<Selector[K]>; path: string } | undefined;
  }

  /** Entries of a part that is a list, each with its path. */
  entries<K extends ListPart>(name: K): { value: Entry<K>; path: string }[] {
    const part = this.get(name);
    const list = (part?.value ?? []) as Entry<K>[];
    return list.map((value, index) => ({ value, path: child(part?.path ?? "", index) }));
  }

  /** What every entry of a part that is a list compiles to; undefined ones are left out. */
  filters<K extends ListPart, F>(name: K, compile: (value: Entry<K>, path: string) => F | undefined): F[] {
    return this.entries(name).flatMap(({ value, path }) => compile(value, path) ?? []);
  }

  /** Adds the parts of a selector or macro; a part that is there already is an error at `use`. */
  add(selector: Selector, path: string, use: string, problems: Problems): void {
    for (const [name, value] of Object.entries(selector)) {
      if (name === "macros") continue;
      const earlier = this.parts.get(name);
      if (earlier)
        problems.error(use, `defines ${name}, which ${earlier.path} defines too: only one of them may`);
      else this.parts.set(name, { value, path: child(path, name) });
    }
  }
}

type ListPart = { [K in PartName]: NonNullable<Selector[K]> extends unknown[] ? K : never }[PartName];
type Entry<K extends ListPart> = NonNullable<Selector[K]> extends (infer E)[] ? E : never;

type Macros = PolicySpec["selectorsMacros"];

/** The selector and every macro that it names. */
export function mergeMacros(selector: Selector, path: string, macros: Macros, problems: Problems): Parts {
  const parts = new Parts();
  parts.add(selector, path, path, problems);
  for (const [index, name] of (selector.macros ?? []).entries()) {
    const use = child(`${path}.macros`, index);
    const macro = macros && Object.hasOwn(macros, name) ? macros[name] : undefined;
    if (macro) parts.add(macro, child("spec.selectorsMacros", name), use, problems);
    else problems.error(use, `macro ${quote(name)} does not exist${knownMacros(name, macros)}`);
  }
  return parts;
}

/** Reports macros that use macros. */
export function checkMacros(macros: Macros, problems: Problems): void {
  for (const [name, macro] of Object.entries(macros ?? {})) {
    if (macro.macros?.length) {
      problems.error(
        `${child("spec.selectorsMacros", name)}.macros`,
        "is not allowed: a macro cannot use other macros",
      );
    }
  }
}

function knownMacros(name: string, macros: Macros): string {
  const known = Object.keys(macros ?? {});
  if (known.length === 0) return ": the policy has no spec.selectorsMacros";
  return didYouMean(name, known) || `: spec.selectorsMacros has ${known.join(", ")}`;
}
