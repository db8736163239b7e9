/** The config of a hook at another entry of its system call. Pure. */
import type { SyscallEntry } from "../kernel/syscall-entries.ts";
import { BUFFER_CONFIG, ENUMERATORS as E, HOOK_CONFIG, MAX_ARGS, VALUE_CONFIG } from "./layout.ts";

const LONG_BITS = 64;
const COMPAT_LONG_BITS = 32;

/** A copy of a struct hook_config that reads the arguments as the entry gets them. */
export function configAtEntry(config: Uint8Array, entry: SyscallEntry): Uint8Array {
  const copy = config.slice();
  const view = new DataView(copy.buffer);
  if (entry.abi === "i386") {
    const flags = view.getUint32(HOOK_CONFIG.members.flags, true);
    view.setUint32(HOOK_CONFIG.members.flags, flags | E.HOOK_IA32, true);
  }
  for (let arg = 0; arg < MAX_ARGS; arg++) {
    adaptValue(view, HOOK_CONFIG.members.arg + arg * VALUE_CONFIG.size, entry);
    const buffer = HOOK_CONFIG.members.buffer + arg * BUFFER_CONFIG.size;
    if (entry.compat) narrowLong(view, buffer, BUFFER_CONFIG.members, entry);
  }
  return copy;
}

function adaptValue(view: DataView, base: number, entry: SyscallEntry): void {
  const at = VALUE_CONFIG.members;
  if (view.getUint8(base + at.kind) !== E.VALUE_INTEGER) return;
  if (view.getUint8(base + at.source) !== E.SOURCE_PARAMETER || view.getUint8(base + at.steps) > 0) return;
  if (entry.compat) narrowLong(view, base, at, entry);
  if (entry.ids16.includes(view.getUint8(base + at.parameter))) {
    view.setUint8(base + at.flags, view.getUint8(base + at.flags) | E.VALUE_ID16);
  }
}

/**
 * A compat entry takes the lower half of a long and extends its sign. Of the 32-bit ABI, upper halves are zeros already;
 * a caller of x32 may have anything there.
 */
function narrowLong(
  view: DataView,
  base: number,
  at: { bits: number; flags: number },
  { abi }: SyscallEntry,
): void {
  const isSigned = (view.getUint8(base + at.flags) & E.VALUE_SIGNED) !== 0;
  if ((isSigned || abi === "x32") && view.getUint8(base + at.bits) === LONG_BITS)
    view.setUint8(base + at.bits, COMPAT_LONG_BITS);
}
