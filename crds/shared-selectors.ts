/**
 * In a hook spec's text, a selector that is used in several places is written once: a list of all system calls makes
 * 381 hooks with the same selectors. Pure; see decision-shared-selectors.md.
 */
import type { HookSpec, SelectorDef } from "./hook-spec.ts";

/** A spec as its text has it. */
export interface SharedSpec {
  wire: unknown;
  /** UTF-8 bytes that sharing saves: the text with every selector written out is longer by them. */
  savedBytes: number;
}

interface Entry {
  selector: SelectorDef;
  bytes: number;
  uses: number;
}

/** Moves every selector that is used more than once to `sharedSelectors`; hooks then have its index in its place. */
export function shareSelectors(spec: HookSpec, encode: (value: unknown) => string): SharedSpec {
  const entries = internSelectors(spec, encode);
  const shared = [...new Set(entries.values())].filter(({ uses }) => uses > 1);
  if (shared.length === 0) return { wire: spec, savedBytes: 0 };
  const positions = new Map(shared.map(({ selector }, position) => [selector, position]));
  const replace = (selector: SelectorDef) =>
    positions.get(entries.get(selector)?.selector ?? selector) ?? selector;
  const hooks = spec.hooks.map((hook) => ({ ...hook, selectors: hook.selectors.map(replace) }));
  const sharedSelectors = shared.map(({ selector }) => selector);
  const savedBytes = shared.reduce((sum, { bytes, uses }) => sum + bytes * (uses - 1), 0);
  return { wire: { ...spec, hooks, sharedSelectors }, savedBytes };
}

/** One entry per distinct selector, found by the object; the text of each is made once and not kept. */
function internSelectors(spec: HookSpec, encode: (value: unknown) => string): Map<SelectorDef, Entry> {
  const entries = new Map<SelectorDef, Entry>();
  const byText = new Map<string, Entry>();
  for (const selector of spec.hooks.flatMap((hook) => hook.selectors)) {
    const entry = entries.get(selector) ?? findByText(selector, byText, encode(selector));
    entry.uses++;
    entries.set(selector, entry);
  }
  return entries;
}

function findByText(selector: SelectorDef, byText: Map<string, Entry>, text: string): Entry {
  const entry = byText.get(text) ?? { selector, bytes: Buffer.byteLength(text), uses: 0 };
  byText.set(text, entry);
  return entry;
}

/**
 * Puts shared selectors back in their places. All hooks get the same object, so that memory does not grow. An index
 * that does not exist stays, and the schema refuses it. Undefined if the places stand for more than `maxBytes`: every
 * hook is checked and loaded by itself, so this bounds the work.
 */
export function expandSelectors(value: unknown, maxBytes: number): unknown {
  if (!isObject(value) || !Array.isArray(value.sharedSelectors) || !Array.isArray(value.hooks)) return value;
  const { sharedSelectors: shared, ...rest } = value as { sharedSelectors: unknown[]; hooks: unknown[] };
  const sizes = shared.map((selector) => Buffer.byteLength(JSON.stringify(selector)));
  const places = rest.hooks.flatMap(selectorsOf);
  const bytes = places.reduce<number>(
    (sum, place) => sum + (typeof place === "number" ? (sizes[place] ?? 0) : 0),
    0,
  );
  if (bytes > maxBytes) return undefined;
  return { ...rest, hooks: rest.hooks.map((hook) => withSelectors(hook, shared)) };
}

function withSelectors(hook: unknown, shared: readonly unknown[]): unknown {
  if (!isObject(hook) || !Array.isArray(hook.selectors)) return hook;
  const selectors = hook.selectors.map((place: unknown) =>
    typeof place === "number" ? (shared[place] ?? place) : place,
  );
  return { ...hook, selectors };
}

function selectorsOf(hook: unknown): unknown[] {
  return isObject(hook) && Array.isArray(hook.selectors) ? hook.selectors : [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
