/** Tries to attach a hook that does nothing: whether a kernel allows tracing programs, only a try can tell. */
import type { HookDef } from "../../../crds/hook-spec.ts";
import { errorText } from "../../../lib/logger.ts";
import type { KernelBtf } from "../../bpf/binding.ts";
import { encodeConfig } from "../config/encode.ts";
import { type AttachContext, attachEntry, closeAttachment } from "./attach-entry.ts";

/** On every kernel, seldom called, and what the product is about. */
const FUNCTION = "commit_creds";

/** Why the kernel refuses this kind of hook; undefined if it does not. */
export function probeEntry(
  context: AttachContext,
  btf: KernelBtf,
  kind: "fentry" | "kprobe",
): string | undefined {
  const proto = btf.funcProto(FUNCTION);
  const def: HookDef = {
    path: "",
    section: "kprobes",
    call: FUNCTION,
    syscall: false,
    ignoreCallNotFound: false,
    args: [],
    selectors: [{ filters: [], actions: [{ action: "NoPost" }] }],
  };
  const image = encodeConfig(def, {
    hookId: 0,
    limitSeed: [0n, 0n],
    hostNamespace: () => 0,
    followBit: () => 0,
  });
  try {
    closeAttachment(attachEntry(context, kind, { name: FUNCTION, def, ...(proto && { proto }) }, image));
    return undefined;
  } catch (error) {
    return errorText(error);
  }
}
