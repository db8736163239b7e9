/** The config of a hook at another entry of its system call. Pure. */
import type { SyscallEntry } from "../kernel/syscall-entries.ts";
import { BUFFER_CONFIG, ENUMERATORS as E, HOOK_CONFIG, MAX_ARGS, VALUE_CONFIG } from "./layout.ts";

const LONG_BYTES = 8;
const COMPAT_LONG_BYTES = 4;

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
    const { width, flags } = BUFFER_CONFIG.members;
    if (entry.compat) narrowLong(view, HOOK_CONFIG.members.buffer + arg * BUFFER_CONFIG.size, width, flags);
  }
  return copy;
}

function adaptValue(view: DataView, base: number, { compat, ids16 }: SyscallEntry): void {
  const at = VALUE_CONFIG.members;
  if (view.getUint8(base + at.kind) !== E.VALUE_INTEGER) return;
  if (view.getUint8(base + at.source) !== E.SOURCE_PARAMETER || view.getUint8(base + at.steps) > 0) return;
  if (compat) narrowLong(view, base, at.width, at.flags);
  if (ids16.includes(view.getUint8(base + at.parameter))) {
    view.setUint8(base + at.flags, view.getUint8(base + at.flags) | E.VALUE_ID16);
  }
}

/** A compat entry extends the sign of a long; unsigned ones have zeros in their upper halves already. */
function narrowLong(view: DataView, base: number, width: number, flags: number): void {
  const isSigned = (view.getUint8(base + flags) & E.VALUE_SIGNED) !== 0;
  if (isSigned && view.getUint8(base + width) === LONG_BYTES) view.setUint8(base + width, COMPAT_LONG_BYTES);
}
