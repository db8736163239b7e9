/** The messages of values that have none: the first two are upstream's. */
import { DEPTH_BEYOND_END } from "../records/layout.ts";

/** The message for a failure at this depth of a field path; 0 is the value itself. */
export function unreadMessage(depth: number): string {
  if (depth === 0) return "Bad address for basic type";
  if (depth === DEPTH_BEYOND_END) return "Beyond the end: the array has fewer elements";
  return `Bad address encountered during resolve dereference at depth ${depth}`;
}
