/** Which structures of the kernel, by their names in its BTF, argument types show. Pure. */
import type { ArgType } from "../../../crds/hook-spec.ts";
import type { BtfType } from "../../bpf/binding.ts";

const STRUCTURES: Readonly<Record<string, ArgType>> = {
  cred: "cred",
  user_namespace: "user_namespace",
  kernel_cap_struct: "kernel_cap_t",
  file: "file",
  path: "path",
  dentry: "dentry",
  linux_binprm: "linux_binprm",
  module: "module",
  load_info: "load_info",
};

/** The type that shows a structure. */
export function structureType(type: BtfType): ArgType | undefined {
  return type.kind === "struct" && Object.hasOwn(STRUCTURES, type.name) ? STRUCTURES[type.name] : undefined;
}

/** True for what texts are made of. */
export function isCharacter(type: BtfType): boolean {
  return type.kind === "integer" && type.size === 1;
}
