/** Hooks of the examples that some kernels cannot attach, and their status there. */
import assert from "node:assert/strict";
import { release } from "node:os";
import { hashes } from "../../agent/hooks/config/selectors.ts";
import type { AttachedHook } from "../../agent/hooks/engine.ts";
import { overrides } from "../../crds/hook-spec.ts";

const [major = 0, minor = 0] = release().split(".").map(Number);

/** True on kernels of at least this version. */
export const since = (wantMajor: number, wantMinor: number) =>
  major > wantMajor || (major === wantMajor && minor >= wantMinor);

interface Lack {
  here: boolean;
  reason: string;
  message: RegExp;
}

const INLINE: Lack = { here: since(6, 14), reason: "FunctionNotFound", message: /_creds/ };

/** Debian leaves error injection out; since 7.0 fmod_ret may override system calls. */
const OVERRIDE_OF_SYSCALL: Lack = { here: !since(7, 0), reason: "KernelUnsupported", message: /fmod_ret: / };

/** Missing features by the hook's call. */
const LACKS: Record<string, Lack> = {
  override_creds: INLINE,
  revert_creds: INLINE,
  userns_create: { here: !since(6, 1), reason: "FunctionNotFound", message: /userns_create/ },
};

const HASHES: Lack = { here: !since(5, 18), reason: "KernelUnsupported", message: /^imaHash: / };

/** Fails unless the hook is attached, or this kernel lacks the feature and the status reports it. */
export function checkStatus({ status, def }: AttachedHook): void {
  const { call, state, reason, message = "" } = status;
  const lack = lackOf(def, call);
  if (lack?.here) {
    assert.equal(reason, lack.reason, `${call}: ${state}: ${message}`);
    assert.match(message, lack.message);
  } else {
    assert.equal(state, "Attached", `${call}: ${reason}: ${message}`);
  }
}

function lackOf(def: AttachedHook["def"], call: string): Lack | undefined {
  if (hashes(def)) return HASHES;
  return def.syscall && overrides(def) ? OVERRIDE_OF_SYSCALL : LACKS[call];
}
