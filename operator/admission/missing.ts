/** Which hooks of a policy are known to be missing on nodes, by what their agents report. Pure. */
import type { HookCall, Remark } from "../compiler/compiled.ts";
import { hookKey, type KernelLack } from "../status/node-report.ts";

/** A node with what its kernel is known to lack. */
export interface NodeLack extends KernelLack {
  name: string;
}

const SHOWN_NODES = 3;

/** One remark for each hook that is missing somewhere; an agent that has never looked says nothing. */
export function missingHooks(hooks: readonly HookCall[], nodes: readonly NodeLack[]): Remark[] {
  return hooks.flatMap((hook) => {
    const lacking = nodes.filter((node) => lacks(node, hook));
    if (lacking.length === 0) return [];
    const names = lacking.slice(0, SHOWN_NODES).map(({ name }) => name);
    const rest = lacking.length - names.length;
    const where = `${names.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
    const what = hook.section === "lsmhooks" ? "BPF is no active LSM" : "is not there";
    return [
      {
        path: hook.path,
        message: `${hook.call}: ${what} on ${lacking.length} of ${nodes.length} nodes (${where})`,
      },
    ];
  });
}

function lacks({ calls, features }: NodeLack, { section, call }: HookCall): boolean {
  return section === "lsmhooks" ? features.has("bpfLsm") : calls.has(hookKey(section, call));
}
