/** Attaches a hook that does nothing, and detaches it in another thread. Only a try shows whether a kernel allows tracing programs. */
import type { HookDef } from "../../../crds/hook-spec.ts";
import { errorText } from "../../../lib/logger.ts";
import type { KernelBtf } from "../../bpf/binding.ts";
import { encodeConfig } from "../config/encode.ts";
import { type AttachContext, type Attachment, attachEntry, closeAttachment } from "./attach-entry.ts";
import { runNow } from "./steps.ts";

/** Every kernel has this function, and calls it seldom. */
const FUNCTION = "commit_creds";

/** Returns why the kernel refuses this kind of hook; undefined if it accepts it. */
export function tryAttach(
  context: AttachContext,
  btf: KernelBtf,
  kind: "fentry" | "kprobe",
  warn: (message: string) => void,
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
    cpus: context.bpf.possibleCpus(),
    limitSeed: [0n, 0n],
    hostNamespace: () => 0,
    followBit: () => 0,
    scopeBit: () => 0,
  });
  try {
    const target = { name: FUNCTION, def, ...(proto && { proto }) };
    void detachInBackground(runNow(attachEntry(context, kind, target, image)), warn);
    return undefined;
  } catch (error) {
    return errorText(error);
  }
}

/**
 * Before it lets go of a function, the kernel waits for all CPUs: the start does not. Never rejects, since what the hook
 * was attached for is known by then: a failure is logged.
 */
export async function detachInBackground(
  attachment: Attachment,
  warn: (message: string) => void,
): Promise<void> {
  try {
    await Promise.all(attachment.links.map((link) => link.closeAsync()));
    closeAttachment(attachment);
  } catch (error) {
    warn(`detach the hook that tried the kernel: ${errorText(error)}`);
  }
}
