/** The nodeSelector of a hook spec beside the spec: an agent reads it before it reads the content. Pure. */
import type { LabelSelector } from "./hook-spec.ts";
import { encodeSorted, isLabelSelector } from "./hook-spec-codec.ts";

/** The API server limits all annotations of an object to 256 KiB. */
const MAX_LENGTH = 16 << 10;

/** The selector as an annotation; undefined without a selector, and for one that is too long: all nodes read that spec. */
export function writeNodeSelector(selector: LabelSelector | undefined): string | undefined {
  const text = selector && encodeSorted(selector);
  return text !== undefined && text.length <= MAX_LENGTH ? text : undefined;
}

/** The selector of an annotation; undefined if it is missing or damaged: then the spec has to be read. */
export function readNodeSelector(annotation: string | undefined): LabelSelector | undefined {
  if (annotation === undefined) return undefined;
  try {
    const selector: unknown = JSON.parse(annotation);
    return isLabelSelector(selector) ? selector : undefined;
  } catch {
    return undefined;
  }
}
