/** The first filter of a hook's only selector can be compared before anything else: most hits end there. Pure. */
import { ENUMERATORS as E, FILTER_CONFIG, HOOK_CONFIG, SELECTOR_CONFIG } from "./layout.ts";

const QUICK_OPERANDS: readonly number[] = [E.OPERAND_NAMESPACE, E.OPERAND_CRED, E.OPERAND_ARG];

/** Makes the first filter the hook's gate if there is one selector and the filter compares a number with one range. */
export function encodeGate(view: DataView, filters: number): void {
  const { flags, selectors, selector } = HOOK_CONFIG.members;
  if (view.getUint16(selectors, true) !== 1 || filters === 0 || !canBeGate(view)) return;
  view.setUint32(flags, view.getUint32(flags, true) | E.HOOK_GATE, true);
  view.setUint16(selector + SELECTOR_CONFIG.members.first_filter, 1, true);
  view.setUint16(selector + SELECTOR_CONFIG.members.filters, filters - 1, true);
}

function canBeGate(view: DataView): boolean {
  const at = FILTER_CONFIG.members;
  const base = HOOK_CONFIG.members.filter;
  return (
    QUICK_OPERANDS.includes(view.getUint8(base + at.operand)) &&
    view.getUint8(base + at.compare) === E.COMPARE_RANGES &&
    view.getUint32(base + at.first, true) === 0 &&
    view.getUint32(base + at.count, true) === 1
  );
}
