/** The compiler as the operator uses it; policy/ implements it. */
import type { HookSpec } from "../crds/hook-spec.ts";

/** An error or a warning of the compiler about a field. */
export interface Remark {
  path: string;
  message: string;
}

/** A compiled policy, or everything that is wrong with it. */
export type Compiled =
  | { ok: true; spec: HookSpec; hash: string; warnings: readonly Remark[] }
  | { ok: false; errors: readonly Remark[] };

/** Compiles a policy object as the API server has it. */
export type Compile = (policy: unknown) => Compiled;

const MAX_REMARKS = 10;
const MAX_LENGTH = 4_000;

/** All remarks in one bounded line. */
export function joinRemarks(remarks: readonly Remark[]): string {
  const shown = remarks
    .slice(0, MAX_REMARKS)
    .map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
  const rest = remarks.length - shown.length;
  const text = [...shown, ...(rest > 0 ? [`and ${rest} more`] : [])].join("; ");
  return text.length <= MAX_LENGTH ? text : `${text.slice(0, MAX_LENGTH - 1)}…`;
}
