/** Programs that there is one of: each is a template of the object, loaded under the template's name. */
import type { BpfObject, BpfProgram, CloneOptions } from "./binding.ts";

/** How a template is loaded for a raw tracepoint, or only to be run. */
export const RAW_TRACEPOINT = { type: "raw_tracepoint", expectedAttachType: "none" } as const;

/** Loads the template that `options` name. Throws a BpfError if the kernel refuses it. */
export function loadTemplate(object: BpfObject, options: CloneOptions): BpfProgram {
  const template = object.program(options.name);
  try {
    return template.clone(options);
  } finally {
    template.close();
  }
}
